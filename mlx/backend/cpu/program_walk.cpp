// Walking strided inputs in row-major order of the output, run by run.
#include "mlx/backend/cpu/program_walk.h"

#include <algorithm>

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

template <typename T>
void gather_typed(char* out, const char* from, int64_t count, int64_t stride) {
  auto* o = reinterpret_cast<T*>(out);
  auto* x = reinterpret_cast<const T*>(from);
  for (int64_t i = 0; i < count; ++i) o[i] = x[i * stride];
}

void gather_row(char* out, const char* from, int64_t count, int64_t stride, int size) {
  if (stride == 1) {
    std::memcpy(out, from, count * size);
  } else if (stride == 0) {
    fill_row(out, from, count, size);
  } else if (size == 1) {
    gather_typed<uint8_t>(out, from, count, stride);
  } else if (size == 2) {
    gather_typed<uint16_t>(out, from, count, stride);
  } else if (size == 4) {
    gather_typed<uint32_t>(out, from, count, stride);
  } else {
    gather_typed<uint64_t>(out, from, count, stride);
  }
}

}  // namespace

void fill_row(char* out, const char* element, int64_t count, int size) {
  if (size == 1) {
    std::memset(out, *element, count);
  } else if (size == 2) {
    fill_typed<uint16_t>(out, element, count);
  } else if (size == 4) {
    fill_typed<uint32_t>(out, element, count);
  } else {
    fill_typed<uint64_t>(out, element, count);
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

void StridedWalk::advance_row(Position& p) const {
  p.column = 0;
  for (int axis = static_cast<int>(p.index.size()) - 1; axis >= 0; --axis) {
    bool carry = ++p.index[axis] == layout_.shape[axis];
    int64_t steps = carry ? 1 - layout_.shape[axis] : 1;
    for (size_t s = 0; s < inputs_.size(); ++s) p.row[s] += steps * layout_.strides[s][axis];
    if (!carry) return;
    p.index[axis] = 0;
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
      gather_row(p.buffers[s], from, count, stride, size);
    } else if (p.filled[s] != from || p.column == 0) {
      // The first tile of a row is its longest, so later ones find the buffer full enough.
      fill_row(p.buffers[s], from, count, size);
      p.filled[s] = from;
    }
  }
  p.column += count;
  if (p.column == inner()) advance_row(p);
  return count;
}

int64_t StridedWalk::next(Position& p, int64_t count) const {
  if (inner() >= long_row) return next_in_row(p, count);
  for (size_t s = 0; s < inputs_.size(); ++s) p.tile[s] = p.buffers[s];
  for (int64_t done = 0; done < count;) {
    int64_t run = std::min(count - done, inner() - p.column);
    for (size_t s = 0; s < inputs_.size(); ++s) {
      int64_t stride = inner_stride(s);
      int size = inputs_[s].size;
      gather_row(p.buffers[s] + done * size,
                 inputs_[s].data + (p.row[s] + p.column * stride) * size, run, stride, size);
    }
    done += run;
    p.column += run;
    if (p.column == inner()) advance_row(p);
  }
  return count;
}

}  // namespace mlx::core::cpu
