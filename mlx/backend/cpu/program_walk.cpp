// Walking strided inputs in row-major order of the output, run by run.
#include "mlx/backend/cpu/program_walk.h"

#include <algorithm>

#include "mlx/backend/cpu/words.h"

namespace mlx::core::cpu {

namespace {

/** Rows at least this long make tiles of their own, so that they can be read in place. */
constexpr int64_t long_row = 256;

template <typename T>
void fill_typed(char* out, const char* element, int64_t count) {
  T value;
  std::memcpy(&value, element, sizeof(T));
  std::fill_n(reinterpret_cast<T*>(out), count, value);
}

/** A block of rows into consecutive memory. Strides in elements. */
struct Block {
  const char* from;
  int64_t rows, columns;
  int64_t row_stride, stride;
};

template <typename T>
void gather_typed(char* out, const Block& block) {
  auto* o = reinterpret_cast<T*>(out);
  for (int64_t r = 0; r < block.rows; ++r, o += block.columns) {
    auto* x = reinterpret_cast<const T*>(block.from) + r * block.row_stride;
    if (block.stride == 0) {
      for (int64_t c = 0; c < block.columns; ++c) o[c] = *x;
    } else {
      for (int64_t c = 0; c < block.columns; ++c) o[c] = x[c * block.stride];
    }
  }
}

/** The same row again and again: each copy doubles what is there. */
void repeat_row(char* out, const char* row, int64_t rows, int64_t row_bytes) {
  std::memcpy(out, row, row_bytes);
  for (int64_t done = 1; done < rows;) {
    int64_t more = std::min(done, rows - done);
    std::memcpy(out + done * row_bytes, out, more * row_bytes);
    done += more;
  }
}

void gather(char* out, const Block& block, int size) {
  int64_t row_bytes = block.columns * size;
  if (block.stride == 1 && block.row_stride == 0) {
    repeat_row(out, block.from, block.rows, row_bytes);
  } else if (block.stride == 1 && row_bytes >= 64) {
    for (int64_t r = 0; r < block.rows; ++r) {
      std::memcpy(out + r * row_bytes, block.from + r * block.row_stride * size, row_bytes);
    }
  } else {
    dispatch_word(size, [&](auto word) { gather_typed<decltype(word)>(out, block); });
  }
}

}  // namespace

void fill_row(char* out, const char* element, int64_t count, int size) {
  if (size == 1) {
    std::memset(out, *element, count);
  } else {
    dispatch_word(size, [&](auto word) { fill_typed<decltype(word)>(out, element, count); });
  }
}

void StridedWalk::prepare(const Shape& shape, const SmallVector<const array*, 16>& inputs,
                          const SmallVector<StridedInput, 8>& strided) {
  inputs_ = strided;
  std::vector<Strides> strides;
  for (const auto& in : strided) strides.push_back(broadcast_strides(*inputs[in.value], shape));
  layout_ = collapse_dims(shape, std::move(strides));
}

StridedWalk::Position StridedWalk::start(int64_t element) const {
  Position p;
  p.column = element % inner();
  int64_t rest = element / inner();
  int axes = static_cast<int>(layout_.shape.size()) - 1;
  p.index.resize(axes);
  for (int axis = axes - 1; axis >= 0; --axis) {
    p.index[axis] = rest % layout_.shape[axis];
    rest /= layout_.shape[axis];
  }
  for (size_t s = 0; s < inputs_.size(); ++s) {
    int64_t offset = 0;
    for (int axis = 0; axis < axes; ++axis) offset += p.index[axis] * layout_.strides[s][axis];
    p.row.push_back(offset);
    p.filled.push_back(nullptr);
    p.tile.push_back(nullptr);
  }
  return p;
}

void StridedWalk::advance_rows(Position& p, int64_t rows) const {
  p.column = 0;
  for (int axis = static_cast<int>(p.index.size()) - 1; axis >= 0; --axis) {
    p.index[axis] += rows;
    bool carry = p.index[axis] == layout_.shape[axis];
    int64_t steps = carry ? rows - layout_.shape[axis] : rows;
    for (size_t s = 0; s < inputs_.size(); ++s) p.row[s] += steps * layout_.strides[s][axis];
    if (!carry) return;
    p.index[axis] = 0;
    rows = 1;
  }
}

int64_t StridedWalk::next_in_row(Position& p, int64_t count) const {
  count = std::min(count, inner() - p.column);
  for (size_t s = 0; s < inputs_.size(); ++s) {
    int64_t stride = inner_stride(s);
    int size = inputs_[s].size;
    const char* from = inputs_[s].data + (p.row[s] + p.column * stride) * size;
    if (stride == 1) {
      p.tile[s] = const_cast<char*>(from);
      continue;
    }
    p.tile[s] = p.buffers[s];
    if (stride != 0) {
      gather(p.buffers[s], {from, 1, count, 0, stride}, size);
    } else if (p.filled[s] != from || p.column == 0) {
      // The first tile of a row is its longest, so later ones find the buffer full enough.
      fill_row(p.buffers[s], from, count, size);
      p.filled[s] = from;
    }
  }
  p.column += count;
  if (p.column == inner()) advance_rows(p, 1);
  return count;
}

int64_t StridedWalk::next(Position& p, int64_t count) const {
  if (inner() >= long_row) return next_in_row(p, count);
  for (size_t s = 0; s < inputs_.size(); ++s) p.tile[s] = p.buffers[s];
  int last = static_cast<int>(p.index.size()) - 1;
  for (int64_t done = 0; done < count;) {
    // Whole rows along the last outer axis at once, or a piece of one row.
    int64_t columns = std::min(count - done, inner() - p.column), rows = 1;
    if (columns == inner() && last >= 0) {
      rows = std::min((count - done) / inner(), layout_.shape[last] - p.index[last]);
    }
    for (size_t s = 0; s < inputs_.size(); ++s) {
      int64_t stride = inner_stride(s);
      int size = inputs_[s].size;
      const char* from = inputs_[s].data + (p.row[s] + p.column * stride) * size;
      gather(p.buffers[s] + done * size,
             {from, rows, columns, last >= 0 ? layout_.strides[s][last] : 0, stride}, size);
    }
    done += rows * columns;
    p.column += columns;
    if (p.column == inner()) advance_rows(p, rows);
  }
  return count;
}

}  // namespace mlx::core::cpu
