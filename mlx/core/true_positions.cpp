// Counting and writing go in parallel over parts of the mask. A list grows by one after every
// element, true or not, so that nothing is predicted; lists of a row stay in the first cache.
#include "mlx/core/true_positions.h"

#include <algorithm>
#include <cstring>

#include "mlx/allocator.h"
#include "mlx/core/parallel.h"
#include "mlx/core/shape_checks.h"

namespace mlx::core {

namespace {

constexpr int64_t part = 1 << 15, piece = 1024;

int64_t count_true(const uint8_t* mask, int64_t size) {
  int64_t count = 0;
  for (int64_t i = 0; i < size; i += 128) {
    uint8_t some = 0;
    for (int64_t k = i; k < std::min(i + 128, size); k++) {
      some += mask[k] != 0;
    }
    count += some;
  }
  return count;
}

/** Writes the lists of one part of a mask. */
class Lists {
 public:
  Lists(const Shape& shape, std::vector<int32_t*> out) : shape_(shape), out_(std::move(out)) {}

  void write(const uint8_t* mask, int64_t begin, int64_t end) {
    int64_t row = shape_.back();
    for (int64_t i = begin; i < end;) {
      int64_t first = i % row, size = std::min({piece, row - first, end - i});
      write_piece(mask + i, i / row, static_cast<int32_t>(first), size);
      i += size;
    }
  }

 private:
  void write_piece(const uint8_t* mask, int64_t outer, int32_t first, int64_t size) {
    int32_t found[piece + 1];
    int64_t count = 0;
    for (int64_t k = 0; k < size; k++) {
      found[count] = first + static_cast<int32_t>(k);
      count += mask[k] != 0;
    }
    std::memcpy(out_.back(), found, count * sizeof(int32_t));
    for (size_t axis = out_.size() - 1; axis-- > 0;) {
      std::fill_n(out_[axis], count, static_cast<int32_t>(outer % shape_[axis]));
      outer /= shape_[axis];
    }
    for (int32_t*& list : out_) {
      list += count;
    }
  }

  const Shape& shape_;
  std::vector<int32_t*> out_;
};

}  // namespace

std::vector<array> true_positions(const char* op, const array& mask) {
  auto size = static_cast<int64_t>(mask.size());
  const auto* data = reinterpret_cast<const uint8_t*>(mask.data<bool>());
  std::vector<int64_t> before((size + part - 1) / part + 1, 0);
  auto parts = static_cast<int64_t>(before.size()) - 1;
  auto each_part = [&](auto f) {
    parallel_for(parts, 4, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; p++) {
        f(p, p * part, std::min((p + 1) * part, size));
      }
    });
  };
  each_part([&](int64_t p, int64_t begin, int64_t end) {
    before[p + 1] = count_true(data + begin, end - begin);
  });
  for (int64_t p = 0; p < parts; p++) {
    before[p + 1] += before[p];
  }
  Shape shape{checked_extent(op, before[parts])};
  std::vector<array> lists;
  std::vector<int32_t*> out;
  for (size_t axis = 0; axis < mask.ndim(); axis++) {
    lists.emplace_back(allocator::malloc(before[parts] * sizeof(int32_t)), shape, int32);
    out.push_back(lists.back().data<int32_t>());
  }
  each_part([&](int64_t p, int64_t begin, int64_t end) {
    auto from = out;
    for (int32_t*& list : from) {
      list += before[p];
    }
    Lists(mask.shape(), std::move(from)).write(data, begin, end);
  });
  return lists;
}

}  // namespace mlx::core
