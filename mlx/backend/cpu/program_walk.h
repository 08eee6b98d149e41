// How the interpreter reads inputs that are not laid out like the output: tile by tile, rows of
// stride 1 in place, the rest gathered into the tile's buffer.
#pragma once

#include <cstdint>
#include <cstring>

#include "mlx/array.h"
#include "mlx/core/layout.h"

namespace mlx::core::cpu {

struct StridedInput {
  uint16_t value;  // program input
  uint8_t size;    // bytes per element
  const char* data;
};

/** Writes `count` copies of one element of `size` bytes. */
void fill_row(char* out, const char* element, int64_t count, int size);

class StridedWalk {
 public:
  /** Where one thread is. */
  struct Position {
    SmallVector<int64_t> index;          // of the row, by outer axis
    SmallVector<int64_t, 8> row;         // offset of the row in each input, in elements
    SmallVector<const char*, 8> filled;  // what the buffer repeats at present, or null
    SmallVector<char*, 8> buffers;       // one tile of each input; the caller sets these
    SmallVector<char*, 8> tile;          // result of next(): where each input's tile is
    int64_t column = 0;
  };

  /** `inputs` by program input; the walk covers those that `strided` lists. */
  void prepare(const Shape& shape, const SmallVector<const array*, 16>& inputs,
               const SmallVector<StridedInput, 8>& strided);

  Position start(int64_t element) const;

  /** Makes the next tile of at most `count` elements; returns how many it has. */
  int64_t next(Position& p, int64_t count) const;

 private:
  int64_t inner() const { return layout_.shape.back(); }
  int64_t inner_stride(size_t s) const { return layout_.strides[s].back(); }
  void advance_rows(Position& p, int64_t rows) const;
  int64_t next_in_row(Position& p, int64_t count) const;

  SmallVector<StridedInput, 8> inputs_;
  CollapsedLayout layout_;
};

}  // namespace mlx::core::cpu
