// What decoders of GGUF's blocks are made of: fields of bytes, bits of fields, scales of groups.
#pragma once

#include <initializer_list>
#include <vector>

#include "mlx/io/gguf_blocks.h"
#include "mlx/ops.h"

namespace mlx::core::io {

/** The bytes of all blocks, and what formats do with them. Arrays have a row for each block. */
class Blocks {
 public:
  Blocks(const array& blocks, StreamOrDevice s) : s(s), count_(blocks.shape(0)), blocks_(blocks) {}

  array bytes(int at, int n) const { return slice(blocks_, {0, at}, {count_, at + n}, s); }

  /** Bytes as words of `dtype`, the lowest byte first. */
  array words(const array& bytes, Dtype dtype) const {
    return view(contiguous(bytes, false, s), dtype, s);
  }
  array half(int at) const { return astype(words(bytes(at, 2), float16), float32, s); }

  /** From each `row` bytes, or words, first the bits of the first shift, then those of the next. */
  array bits(const array& bytes, int row, std::initializer_list<int> shifts, int mask) const {
    int n = bytes.shape(1), m = static_cast<int>(shifts.size());
    array by = array(shifts.begin(), {m, 1}, bytes.dtype());
    array rows = right_shift(reshape(bytes, {count_, n / row, 1, row}, s), by, s);
    return reshape(bitwise_and(rows, array(mask, bytes.dtype()), s), {count_, n * m}, s);
  }
  array nibbles(const array& bytes, int row) const { return bits(bytes, row, {0, 4}, 15); }
  array eight_bits(const array& bytes, int row) const {
    return bits(bytes, row, {0, 1, 2, 3, 4, 5, 6, 7}, 1);
  }

  /** low + high · 2^shift, as bits. */
  array joined(const array& low, const array& high, int shift) const {
    return bitwise_or(low, left_shift(high, array(shift, low.dtype()), s), s);
  }
  array minus(const array& values, int zero) const {
    return subtract(astype(values, float32, s), array(static_cast<float>(zero)), s);
  }

  /** values · scales, each scale for as many values as there are more of them. */
  array scaled(const array& values, const array& scales) const {
    return grouped(values, scales, [this](const array& v, const array& x) {
      return multiply(astype(v, float32, s), x, s);
    });
  }
  array shifted(const array& values, const array& offsets) const {
    return grouped(values, offsets,
                   [this](const array& v, const array& x) { return subtract(v, x, s); });
  }

  /** Bytes of elements of four bits, the first lower. */
  array paired(const array& four_bits) const {
    int n = four_bits.shape(1);
    array low = slice(four_bits, {0, 0}, {count_, n}, {1, 2}, s);
    array high = slice(four_bits, {0, 1}, {count_, n}, {1, 2}, s);
    return joined(low, high, 4);
  }

  array as_float16(const array& values) const { return astype(values, float16, s); }
  std::vector<BlockPart> decoded(const array& values) const {
    return {{"weight", as_float16(values)}};
  }
  std::vector<BlockPart> packed_as(const array& words, const array& scales,
                                   const array& biases) const {
    return {{"weight", words}, {"scales", as_float16(scales)}, {"biases", as_float16(biases)}};
  }

  const StreamOrDevice s;

 private:
  template <typename F>
  array grouped(const array& values, const array& by, F f) const {
    int n = values.shape(1), groups = by.shape(1);
    array rows = f(reshape(values, {count_, groups, n / groups}, s), expand_dims(by, 2, s));
    return reshape(rows, {count_, n}, s);
  }

  int count_;
  array blocks_;
};

}  // namespace mlx::core::io
