// The array: a shared handle to a node of the graph, which holds data once it has been evaluated.
#pragma once

#include <atomic>
#include <complex>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "mlx/allocator.h"
#include "mlx/dtype.h"
#include "mlx/event.h"
#include "mlx/small_vector.h"

namespace mlx::core {

class Primitive;
class ArrayIterator;

/** A failure that the device may still report, after the work that would meet it was queued. */
class Doubt {
 public:
  virtual ~Doubt() = default;
  /** The failure or nothing; asked when the work is done. */
  virtual std::exception_ptr verdict() = 0;

  /** Tells what the work ends with. */
  void follow(Event done) { done_ = std::move(done); }
  /** Whether it is known, without asking a device, that the work is done and has not failed. */
  bool is_over() {
    if (!over_.load(std::memory_order_relaxed) && done_.valid() && done_.is_known_signaled()) {
      over_.store(!verdict(), std::memory_order_relaxed);
    }
    return over_.load(std::memory_order_relaxed);
  }

 private:
  Event done_;
  std::atomic<bool> over_{false};
};

using Deleter = allocator::Deleter;
using ShapeElem = int32_t;
using Shape = SmallVector<ShapeElem>;
using Strides = SmallVector<int64_t>;

/** Elements of a shape; throws std::invalid_argument for a negative extent or past 2^63 - 1. */
size_t num_elements(const Shape& shape);
/** Bytes of an array; throws std::invalid_argument as num_elements, and past 2^63 - 1. */
size_t num_bytes(const Shape& shape, Dtype dtype);

namespace detail {
struct Tracing;
}

/** A C++ number that can be the value of an array. */
template <typename T>
concept Scalar = std::is_arithmetic_v<T> || HalfType<T> || ComplexNumber<T>;

/** What lists of numbers hold. */
template <typename T>
concept Element =
    Scalar<T> || std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>;

class array {
 public:
  using ArrayIterator = mlx::core::ArrayIterator;

  /** A scalar. */
  template <Scalar T>
  explicit array(T val, Dtype dtype = TypeToDtype<T>());
  explicit array(const std::complex<float>& val, Dtype dtype = complex64);
  explicit array(const std::complex<double>& val, Dtype dtype = complex128);

  /** Copies num_elements(shape) values from an iterator. */
  template <typename It, typename = typename std::iterator_traits<It>::value_type>
  explicit array(It data, Shape shape,
                 Dtype dtype = TypeToDtype<typename std::iterator_traits<It>::value_type>());

  template <Element T>
  explicit array(std::initializer_list<T> data, Dtype dtype = TypeToDtype<T>());
  /** The empty list, and lists of floats, make float32. */
  explicit array(std::initializer_list<float> data);
  explicit array(std::initializer_list<int> data, Dtype dtype);
  template <Element T>
  explicit array(std::initializer_list<T> data, Shape shape, Dtype dtype = TypeToDtype<T>());

  /** Takes over row-contiguous memory; `deleter` is called with `data` when no array uses it. */
  explicit array(void* data, Shape shape, Dtype dtype, const std::function<void(void*)>& deleter);
  explicit array(allocator::Data data, Shape shape, Dtype dtype);
  explicit array(allocator::Buffer data, Shape shape, Dtype dtype, Deleter deleter);

  array(const array& other) = default;
  array(array&& other) noexcept = default;
  array& operator=(const array& other) & { return *this = array(other); }
  array& operator=(array&& other) & noexcept {
    array taken(std::move(other));
    std::swap(desc_, taken.desc_);  // what this handle held goes as a handle goes
    return *this;
  }
  ~array();

  size_t itemsize() const { return desc_->dtype.size(); }
  size_t size() const { return desc_->size; }
  size_t nbytes() const { return size() * itemsize(); }
  size_t ndim() const { return desc_->shape.size(); }
  const Shape& shape() const { return desc_->shape; }
  /** Extent of one axis; negative axes count from the end. Throws std::out_of_range. */
  int shape(int dim) const { return desc_->shape.at(dim < 0 ? dim + ndim() : dim); }
  /** In elements. Known once the array is evaluated; row contiguous before. */
  const Strides& strides() const { return desc_->strides; }
  int64_t strides(int dim) const { return desc_->strides.at(dim < 0 ? dim + ndim() : dim); }
  Dtype dtype() const { return desc_->dtype; }

  /** Evaluates if need be and waits. */
  void eval();
  void eval() const { const_cast<array*>(this)->eval(); }

  /** The value of a one-element array, converted to T. Evaluates. */
  template <typename T>
  T item();
  template <typename T>
  T item() const {
    return const_cast<array*>(this)->item<T>();
  }

  ArrayIterator begin() const;
  ArrayIterator end() const;

  // ---- for primitives, transforms and the evaluator

  struct Flags {
    /** No gaps: the elements fill `data_size` in some order. */
    bool contiguous : 1;
    bool row_contiguous : 1;
    bool col_contiguous : 1;
  };

  struct Data {
    allocator::Buffer buffer;
    /** Empty for memory of the allocator. */
    Deleter d;
    /** What a device's backend made of host memory, kept for further uses there. */
    std::shared_ptr<void> device_copy;
    explicit Data(allocator::Data data) : buffer(data.buffer), d(std::move(data.deleter)) {}
    Data(allocator::Buffer buffer, Deleter d = allocator::free);
    Data(const Data&) = delete;
    Data(Data&& other) noexcept;
    Data& operator=(const Data&) = delete;
    ~Data();
  };

  enum Status {
    /** A node whose inputs are known. */
    unscheduled,
    /** Handed to a stream: `event` tells when the data is there. */
    evaluated,
    /** The data is there. */
    available,
  };

  /** A node of the graph: what `primitive` makes of `inputs`. */
  explicit array(Shape shape, Dtype dtype, std::shared_ptr<Primitive> primitive,
                 std::vector<array> inputs);
  /** The outputs of one primitive; each knows the others as siblings. */
  static std::vector<array> make_arrays(std::vector<Shape> shapes, const std::vector<Dtype>& dtypes,
                                        const std::shared_ptr<Primitive>& primitive,
                                        const std::vector<array>& inputs);
  /** Shares data with `other` but not its place in the graph. */
  static array unsafe_weak_copy(const array& other);

  /** Same node as long as either lives. */
  std::uintptr_t id() const { return reinterpret_cast<std::uintptr_t>(desc_.get()); }
  std::uintptr_t primitive_id() const {
    return reinterpret_cast<std::uintptr_t>(desc_->primitive.get());
  }
  Primitive& primitive() const { return *desc_->primitive; }
  std::shared_ptr<Primitive>& primitive_ptr() const { return desc_->primitive; }
  bool has_primitive() const { return desc_->primitive != nullptr; }
  const std::vector<array>& inputs() const { return desc_->inputs; }
  std::vector<array>& inputs() { return desc_->inputs; }

  /** Nobody else holds the node, its buffer or a copy of it: an op may write its result there. */
  bool is_donatable() const {
    return is_only_holder(desc_) && desc_->data && is_only_holder(desc_->data) &&
           !desc_->data->device_copy;
  }

  /** The other outputs of the same primitive, without this one, in order. */
  const std::vector<array>& siblings() const { return desc_->siblings; }
  std::vector<array>& siblings() { return desc_->siblings; }
  int sibling_position() const { return desc_->position; }
  void set_siblings(std::vector<array> siblings, uint16_t position);
  /** All outputs of the primitive in order, this one included. */
  std::vector<array> outputs() const;

  /** Forgets primitive, inputs and siblings. To be called with the graph lock held. */
  void detach();

  const Flags& flags() const { return desc_->flags; }
  /** Elements of the buffer that the array spans (1 for a broadcast scalar). */
  size_t data_size() const { return desc_->data_size; }
  allocator::Buffer& buffer() { return desc_->data->buffer; }
  const allocator::Buffer& buffer() const { return desc_->data->buffer; }
  /** Bytes of the whole buffer, or of the array if its memory came from outside. */
  size_t buffer_size() const {
    return desc_->data->d ? nbytes() : allocator::allocated_size(buffer());
  }
  const std::shared_ptr<Data>& data_shared_ptr() const { return desc_->data; }
  /** Of the first element, in elements from the start of the buffer. */
  int64_t offset() const { return desc_->offset; }
  template <typename T>
  T* data() {
    return reinterpret_cast<T*>(static_cast<char*>(host_buffer()) +
                                desc_->offset * static_cast<int64_t>(itemsize()));
  }
  template <typename T>
  const T* data() const {
    return const_cast<array*>(this)->data<T>();
  }

  Status status() const { return desc_->status.load(std::memory_order_acquire); }
  void set_status(Status s) const { desc_->status.store(s, std::memory_order_release); }
  /** Whether the data can be read without waiting. */
  bool is_available() const;
  /** Waits for scheduled work and raises the error it ended in, if any. */
  void wait();
  Event& event() const { return desc_->event; }
  void attach_event(Event e) const { desc_->event = std::move(e); }
  void detach_event() const { desc_->event = Event(); }
  /** The failure of the work that was to make the data; raised by `wait`. Known for sure once the
   *  data is available. */
  std::exception_ptr error() const;
  void set_error(std::exception_ptr error) const { desc_->error = std::move(error); }
  /** The failure that is known by now without asking for the verdict on doubts. */
  std::exception_ptr known_error() const;
  /** Failures that may still turn up, of this array's work or of what it was made from; null for
   *  none. What is made from an array has mostly the same ones, so it shares the list. */
  using Doubts = std::shared_ptr<const std::vector<std::shared_ptr<Doubt>>>;
  const Doubts& doubts() const { return desc_->doubts; }
  /** A doubt about the work of this array. */
  void add_doubt(std::shared_ptr<Doubt> doubt) const;
  /** Those of another array that are not over. */
  void add_doubts(const Doubts& doubts) const;

  /** Part of a function that a transform is tracing, on whatever thread: evaluation keeps its
   *  graph. Setting it makes the array part of the calling thread's innermost trace. */
  void set_tracer(bool is_tracer);
  bool is_tracer() const { return desc_->trace && is_being_traced(); }

  /** Row-contiguous data. */
  void set_data(allocator::Data data);
  void set_data(allocator::Data data, size_t data_size, Strides strides, Flags flags,
                int64_t offset = 0);
  void set_data(allocator::Buffer buffer, Deleter d);
  void set_data(allocator::Buffer buffer, size_t data_size, Strides strides, Flags flags,
                Deleter d);
  void set_data(allocator::Buffer buffer, size_t data_size, Strides strides, Flags flags,
                int64_t offset, Deleter d);
  /** A view into another array's buffer; `offset` in elements of this array's dtype. */
  void copy_shared_buffer(const array& other, const Strides& strides, Flags flags, size_t data_size,
                          int64_t offset = 0);
  void copy_shared_buffer(const array& other);

  /** Becomes a handle to the node of `other`. */
  void overwrite_descriptor(const array& other) { *this = other; }

  /** Where walks over the graph keep what they know of a node: `index` belongs to the walk with the
   *  number `walk`, `value` to the program with the number `program`. */
  struct WalkMark {
    uint64_t walk = 0;
    uint64_t program = 0;
    uint32_t index = 0;
    uint32_t value = 0;
  };
  WalkMark& walk_mark() const { return desc_->mark; }
  /** The size of what lies at `id`. */
  static constexpr size_t node_bytes() { return sizeof(ArrayDesc); }
  /** Handles to the node, this one included. */
  long use_count() const { return desc_.use_count(); }

  /** Finds the node as long as a handle holds it, and holds nothing itself. */
  class Weak;

 private:
  /** Whether nobody else holds it. What others did with it before they let go has happened then. */
  template <typename T>
  static bool is_only_holder(const std::shared_ptr<T>& held) {
    if (held.use_count() != 1) return false;
#ifdef __SANITIZE_THREAD__
    auto counted = held;  // orders as the fence does, which this sanitizer does not know
#else
    std::atomic_thread_fence(std::memory_order_acquire);
#endif
    return true;
  }

  struct ArrayDesc {
    Shape shape;
    Strides strides;
    size_t size = 0;
    size_t data_size = 0;
    int64_t offset = 0;
    std::shared_ptr<Data> data;
    std::shared_ptr<Primitive> primitive;
    std::vector<array> inputs;
    std::vector<array> siblings;
    Event event;
    std::exception_ptr error;
    Doubts doubts;
    WalkMark mark;
    Dtype dtype;
    std::atomic<Status> status;  // the event and the data were written before it
    Flags flags{true, true, true};
    uint16_t position = 0;
    std::atomic<bool> in_ring = false;  // has siblings
    /** Of the traces that it is part of, the one that ends last; mostly none. */
    std::shared_ptr<const detail::Tracing> trace;

    /** A node to be filled with row-contiguous data. */
    ArrayDesc(Shape shape, Dtype dtype);
    ArrayDesc(Shape shape, Dtype dtype, std::shared_ptr<Primitive> primitive,
              std::vector<array> inputs);
    ~ArrayDesc();
    std::vector<array> take_siblings();
  };

  static std::shared_ptr<ArrayDesc> make_desc(Shape shape, Dtype dtype);
  bool is_being_traced() const;
  void leave_ring();
  /** The buffer's address for the host, where what this array spans can be read. */
  void* host_buffer() const;
  template <typename It>
  void fill_from(It first, size_t count);
  template <typename T>
  void set_scalar(T value);
  void allocate();

  explicit array(std::shared_ptr<ArrayDesc> desc) : desc_(std::move(desc)) {}

  std::shared_ptr<ArrayDesc> desc_;
};

class array::Weak {
 public:
  explicit Weak(const array& a) : desc_(a.desc_) {}
  std::optional<array> lock() const {
    auto desc = desc_.lock();
    return desc ? std::optional(array(std::move(desc))) : std::nullopt;
  }

 private:
  std::weak_ptr<ArrayDesc> desc_;
};

/** Walks over the slices along the first axis. */
class ArrayIterator {
 public:
  using iterator_category = std::random_access_iterator_tag;
  using difference_type = int64_t;
  using value_type = const array;
  using reference = value_type;

  /** Throws std::invalid_argument for a scalar. */
  explicit ArrayIterator(array arr, int idx = 0);

  reference operator*() const;
  ArrayIterator& operator+=(difference_type n) { return idx_ += n, *this; }
  ArrayIterator operator+(difference_type n) const { return ArrayIterator(*this) += n; }
  ArrayIterator& operator++() { return ++idx_, *this; }
  friend bool operator==(const ArrayIterator& a, const ArrayIterator& b) {
    return a.arr_.id() == b.arr_.id() && a.idx_ == b.idx_;
  }
  friend bool operator!=(const ArrayIterator& a, const ArrayIterator& b) { return !(a == b); }

 private:
  array arr_;
  int idx_;
};

// ------------------------------------------------------------------ templates

template <typename T>
void array::set_scalar(T value) {
  allocate();
  dispatch_dtype(dtype(), [&](auto tag) {
    using U = typename decltype(tag)::type;
    *data<U>() = convert_number<U>(value);
  });
}

template <typename It>
void array::fill_from(It first, size_t count) {
  allocate();
  dispatch_dtype(dtype(), [&](auto tag) {
    using U = typename decltype(tag)::type;
    U* out = data<U>();
    for (size_t i = 0; i < count; i++, ++first) {
      out[i] = convert_number<U>(*first);
    }
  });
}

template <Scalar T>
array::array(T val, Dtype dtype) : desc_(make_desc(Shape{}, dtype)) {
  set_scalar(val);
}

template <typename It, typename>
array::array(It data, Shape shape, Dtype dtype) : desc_(make_desc(std::move(shape), dtype)) {
  fill_from(data, size());
}

template <Element T>
array::array(std::initializer_list<T> data, Dtype dtype)
    : array(data, Shape{static_cast<ShapeElem>(data.size())}, dtype) {}

[[noreturn]] void fail_initializer_size(size_t values, const Shape& shape);

template <Element T>
array::array(std::initializer_list<T> data, Shape shape, Dtype dtype)
    : desc_(make_desc(std::move(shape), dtype)) {
  if (data.size() != size()) {
    fail_initializer_size(data.size(), this->shape());
  }
  fill_from(data.begin(), data.size());
}

void check_item(const array& a);

template <typename T>
T array::item() {
  check_item(*this);
  eval();
  return dispatch_dtype(dtype(), [&](auto tag) -> T {
    using U = typename decltype(tag)::type;
    return convert_number<T>(*data<U>());
  });
}

}  // namespace mlx::core
