// A vector that keeps a few elements inline: shapes and strides are short and are made in large
// numbers while graphs are built, so they must not touch the heap.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <ostream>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace mlx::core {

template <typename T, size_t N = 8>
class SmallVector {
  static_assert(std::is_trivially_copyable_v<T>, "SmallVector holds plain values only");

  template <typename It>
  using require_input_iterator =
      std::enable_if_t<std::is_convertible_v<typename std::iterator_traits<It>::iterator_category,
                                             std::input_iterator_tag>>;

 public:
  using value_type = T;
  using size_type = size_t;
  using difference_type = std::ptrdiff_t;
  using reference = T&;
  using const_reference = const T&;
  using iterator = T*;
  using const_iterator = const T*;
  using reverse_iterator = std::reverse_iterator<iterator>;
  using const_reverse_iterator = std::reverse_iterator<const_iterator>;

  SmallVector() = default;
  explicit SmallVector(size_t n, const T& value = T{}) { assign(n, value); }
  SmallVector(std::initializer_list<T> values) { append(values.begin(), values.end()); }
  SmallVector(const std::vector<T>& values) { append(values.begin(), values.end()); }
  template <typename It, typename = require_input_iterator<It>>
  SmallVector(It first, It last) {
    append(first, last);
  }
  SmallVector(const SmallVector& other) { append(other.begin(), other.end()); }
  SmallVector(SmallVector&& other) noexcept { steal(other); }
  SmallVector& operator=(const SmallVector& other) {
    if (this != &other) {
      size_ = 0;
      append(other.begin(), other.end());
    }
    return *this;
  }
  SmallVector& operator=(SmallVector&& other) noexcept {
    if (this != &other) {
      release();
      steal(other);
    }
    return *this;
  }
  ~SmallVector() { release(); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t capacity() const { return capacity_; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  iterator begin() { return data_; }
  iterator end() { return data_ + size_; }
  const_iterator begin() const { return data_; }
  const_iterator end() const { return data_ + size_; }
  const_iterator cbegin() const { return begin(); }
  const_iterator cend() const { return end(); }
  reverse_iterator rbegin() { return reverse_iterator(end()); }
  reverse_iterator rend() { return reverse_iterator(begin()); }
  const_reverse_iterator rbegin() const { return const_reverse_iterator(end()); }
  const_reverse_iterator rend() const { return const_reverse_iterator(begin()); }

  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T& at(size_t i) { return check_index(i), data_[i]; }
  const T& at(size_t i) const { return check_index(i), data_[i]; }
  T& front() { return data_[0]; }
  const T& front() const { return data_[0]; }
  T& back() { return data_[size_ - 1]; }
  const T& back() const { return data_[size_ - 1]; }

  void clear() { size_ = 0; }
  void reserve(size_t n) {
    if (n > capacity_) {
      grow(n);
    }
  }
  void resize(size_t n, const T& value = T{}) {
    reserve(n);
    for (size_t i = size_; i < n; i++) {
      data_[i] = value;
    }
    size_ = n;
  }
  void assign(size_t n, const T& value) {
    T kept = value;
    size_ = 0;
    resize(n, kept);
  }
  void push_back(T value) {
    if (size_ == capacity_) {
      grow(2 * capacity_);
    }
    data_[size_++] = value;
  }
  template <typename... Args>
  T& emplace_back(Args&&... args) {
    push_back(T(std::forward<Args>(args)...));
    return back();
  }
  void pop_back() { size_--; }

  iterator insert(const_iterator position, T value) { return insert(position, 1, value); }
  iterator insert(const_iterator position, size_t n, T value) {
    T* hole = open_gap(position, n);
    std::fill(hole, hole + n, value);
    return hole;
  }
  template <typename It, typename = require_input_iterator<It>>
  iterator insert(const_iterator position, It first, It last) {
    SmallVector copied(first, last);
    T* hole = open_gap(position, copied.size());
    std::copy(copied.begin(), copied.end(), hole);
    return hole;
  }
  iterator erase(const_iterator position) { return erase(position, position + 1); }
  iterator erase(const_iterator first, const_iterator last) {
    T* target = data_ + (first - data_);
    std::copy(last, cend(), target);
    size_ -= last - first;
    return target;
  }
  void swap(SmallVector& other) { std::swap(*this, other); }

  friend bool operator==(const SmallVector& a, const SmallVector& b) {
    return a.size_ == b.size_ && std::equal(a.begin(), a.end(), b.begin());
  }
  friend bool operator!=(const SmallVector& a, const SmallVector& b) { return !(a == b); }
  friend bool operator<(const SmallVector& a, const SmallVector& b) {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
  }
  operator std::vector<T>() const { return std::vector<T>(begin(), end()); }

 private:
  template <typename It>
  void append(It first, It last) {
    for (; first != last; ++first) {
      push_back(static_cast<T>(*first));
    }
  }
  void check_index(size_t i) const {
    if (i >= size_) {
      throw std::out_of_range("SmallVector index out of range");
    }
  }
  T* open_gap(const_iterator position, size_t n) {
    size_t at = position - data_;
    reserve(size_ + n);
    std::copy_backward(data_ + at, data_ + size_, data_ + size_ + n);
    size_ += n;
    return data_ + at;
  }
  void grow(size_t n) {
    T* fresh = new T[n];
    std::copy(data_, data_ + size_, fresh);
    release();
    data_ = fresh;
    capacity_ = n;
  }
  void release() {
    if (data_ != inline_) {
      delete[] data_;
      data_ = inline_;
      capacity_ = N;
    }
  }
  void steal(SmallVector& other) {
    if (other.data_ == other.inline_) {
      std::copy(other.begin(), other.end(), inline_);
    } else {
      data_ = other.data_;
      capacity_ = other.capacity_;
      other.data_ = other.inline_;
      other.capacity_ = N;
    }
    size_ = other.size_;
    other.size_ = 0;
  }

  T inline_[N];
  T* data_ = inline_;
  size_t size_ = 0;
  size_t capacity_ = N;
};

/** Prints as the framework prints shapes: `(2,3)`. */
template <typename T, size_t N>
std::ostream& operator<<(std::ostream& os, const SmallVector<T, N>& v) {
  os << "(";
  for (size_t i = 0; i < v.size(); i++) {
    os << (i ? "," : "") << v[i];
  }
  return os << ")";
}

}  // namespace mlx::core
