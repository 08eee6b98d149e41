// Layouts and comparisons of constants.
#include "mlx/export/constants.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "mlx/export/checksum.h"
#include "mlx/io/format.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

std::vector<int> identity_order(size_t n) {
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

/** Whether the axes in this order walk dense memory. */
bool is_dense(const array& a, const std::vector<int>& order) {
  int64_t stride = 1;
  for (size_t i = order.size(); i-- > 0;) {
    int axis = order[i];
    if (a.shape(axis) == 1) continue;
    if (a.strides(axis) != stride) return false;
    stride *= a.shape(axis);
  }
  return true;
}

bool same_elements(const StoredElements& a, const StoredElements& b) {
  return a.repeated == b.repeated && a.order == b.order &&
         std::memcmp(a.elements.data<char>(), b.elements.data<char>(), a.elements.nbytes()) == 0;
}

}  // namespace

StoredElements stored_elements(const array& a) {
  auto order = identity_order(a.ndim());
  if (a.data_size() == 1 && a.size() > 1) {
    array first = slice(a, Shape(a.ndim(), 0), Shape(a.ndim(), 1), Device::cpu);
    return {io::packed({reshape(first, {}, Device::cpu)})[0], true, order};
  }
  auto by_stride = order;
  std::ranges::stable_sort(by_stride, std::ranges::greater(),
                           [&](int axis) { return a.strides(axis); });
  if (a.size() > 0 && is_dense(a, by_stride)) order = by_stride;
  array turned = std::ranges::is_sorted(order) ? a : transpose(a, order, Device::cpu);
  return {io::packed({turned})[0], false, order};
}

array from_elements(const array& elements, bool repeated, const Shape& shape,
                    const std::vector<int>& order) {
  array a = elements;
  if (repeated) {
    a = broadcast_to(elements, shape, Device::cpu);
  } else if (!std::ranges::is_sorted(order)) {
    std::vector<int> inverse(order.size());
    for (size_t i = 0; i < order.size(); i++) inverse[order[i]] = static_cast<int>(i);
    a = transpose(elements, inverse, Device::cpu);
  }
  a.eval();
  return a;
}

uint32_t ConstantPool::add(const array& a) {
  auto known = by_id_.find(a.id());
  if (known != by_id_.end()) return known->second;
  auto stored = stored_elements(a);
  uint64_t hash = xxh64(stored.elements.data<char>(), stored.elements.nbytes());
  auto number = static_cast<uint32_t>(arrays_.size());
  for (auto [it, end] = by_hash_.equal_range(hash); it != end; ++it) {
    const array& other = arrays_[it->second];
    if (other.dtype() == a.dtype() && other.shape() == a.shape() &&
        same_elements(stored, stored_elements(other))) {
      number = it->second;
    }
  }
  by_id_.emplace(a.id(), number);
  kept_.push_back(a);
  if (number == arrays_.size()) {
    by_hash_.emplace(hash, number);
    arrays_.push_back(a);
  }
  return number;
}

}  // namespace mlx::core
