// Packing for attention.
#include "mlx/backend/cpu/attention/panels.h"

#include <algorithm>
#include <vector>

#include "mlx/backend/cpu/copy.h"

namespace mlx::core::cpu {

namespace {

constexpr int most_rows = 64;  // of a panel, at any instruction set

const GemmKernels& widening_kernels(Dtype dtype) {
  const RealGemmKernels& kernels = real_gemm_kernels();
  return dtype == float16 ? kernels.f16 : dtype == bfloat16 ? kernels.bf16 : kernels.f32;
}

/** Where the rows of some keys lie. */
struct KeyLines {
  KeyLines(const array& a, const KeyRows& keys) {
    auto itemsize = static_cast<int64_t>(a.itemsize());
    int64_t at = keys.batch * a.strides(0) + keys.head * a.strides(1) + keys.first * a.strides(2);
    first = a.data<char>() + at * itemsize;
    step = a.strides(2) * itemsize;
  }

  const char* first;
  int64_t step;
};

void scale(float* values, int64_t n, float factor) {
  if (factor == 1) return;
  for (int64_t i = 0; i < n; i++) values[i] *= factor;
}

}  // namespace

array with_dense_rows(const array& a) {
  return a.strides(3) == 1 || a.shape(3) == 1 || a.size() == 0 ? a : contiguous(a);
}

AttentionPanels::AttentionPanels(const AttentionShape& shape, Dtype dtype)
    : shape_(shape),
      table_(attention_table()),
      widen_(widening_kernels(dtype)),
      width_(table_.width),
      narrow_(widen_.rows) {}

int64_t AttentionPanels::even_block(int64_t n, int64_t most) const {
  most = std::max(most, narrow_);
  int64_t blocks = std::max<int64_t>(1, (n + most - 1) / most);
  return whole_panels(std::max<int64_t>(1, (n + blocks - 1) / blocks));
}

void AttentionPanels::pack_wide(const array& a, const QueryRows& rows, float factor,
                                float* to) const {
  const void* lines[most_rows];
  int64_t columns = a.shape(3);
  for (int64_t i = 0; i < rows.count; i += width_, to += width_ * columns) {
    int64_t here = std::min(width_, rows.count - i);
    for (int64_t j = 0; j < here; j++) {
      lines[j] = shape_.row_of(a, rows.batch, rows.head, rows.first + i + j);
    }
    widen_.pack_rows(to, static_cast<int>(width_), lines, static_cast<int>(here), columns);
    scale(to, width_ * columns, factor);
  }
}

void AttentionPanels::pack_lines(const array& a, const QueryRows& rows, float factor,
                                 float* to) const {
  const void* lines[most_rows];
  int64_t columns = a.shape(3), itemsize = static_cast<int64_t>(a.itemsize());
  for (int64_t i = 0; i < rows.count; i += width_) {
    int64_t here = std::min(width_, rows.count - i);
    for (int64_t j = 0; j < columns; j += width_, to += width_ * width_) {
      for (int64_t r = 0; r < here; r++) {
        lines[r] = shape_.row_of(a, rows.batch, rows.head, rows.first + i + r) + j * itemsize;
      }
      int count = static_cast<int>(std::min(width_, columns - j));
      widen_.pack_lines(to, static_cast<int>(width_), lines, count, here);
      std::fill(to + here * width_, to + width_ * width_, 0.0f);
      scale(to, width_ * width_, factor);
    }
  }
}

void AttentionPanels::pack_keys(const array& a, const KeyRows& keys, float* to) const {
  const void* lines[most_rows];
  int64_t columns = a.shape(3);
  KeyLines from(a, keys);
  for (int64_t i = 0; i < keys.count; i += narrow_) {
    int here = static_cast<int>(std::min(narrow_, keys.count - i));
    for (int j = 0; j < here; j++) lines[j] = from.first + (i + j) * from.step;
    widen_.pack_rows(to, here, lines, here, columns);
    to += here * columns;
  }
}

void AttentionPanels::pack_columns(const array& a, const KeyRows& keys, float* to) const {
  const void* lines[most_rows];
  int64_t columns = a.shape(3), itemsize = static_cast<int64_t>(a.itemsize());
  KeyLines from(a, keys);
  for (int64_t j = 0; j < columns; j += narrow_) {
    int here = static_cast<int>(std::min(narrow_, columns - j));
    for (int64_t i = 0; i < keys.count; i += most_rows) {
      int64_t steps = std::min<int64_t>(most_rows, keys.count - i);
      const char* at = from.first + i * from.step + j * itemsize;
      for (int64_t k = 0; k < steps; k++) lines[k] = at + k * from.step;
      // What lies beyond the panel is read as well where there is something: full vectors are fast.
      widen_.pack_lines(to, here, lines, static_cast<int>(columns - j), steps);
      to += here * steps;
    }
  }
}

void AttentionPanels::multiply(int64_t n, int64_t depth, int64_t packed_depth, const float* narrow,
                               const float* wide, float* out, bool accumulate) const {
  for (int64_t i = 0; i < n; i += narrow_) {
    int64_t here = std::min(narrow_, n - i);
    widen_.micro[narrow_ + here - 1](depth, narrow, wide, out + i * width_, width_, accumulate);
    narrow += here * packed_depth;
  }
}

void AttentionPanels::transpose(const float* panel, int64_t lines, float* to) const {
  std::vector<const void*> rows(lines);
  for (int64_t i = 0; i < lines; i++) rows[i] = panel + i * width_;
  auto n = static_cast<int>(lines);
  real_gemm_kernels().f32.pack_rows(to, n, rows.data(), n, width_);
}

void AttentionPanels::apply_mask(const array& mask, const QueryRows& rows, int64_t key,
                                 int64_t keys, float* scores, float* buffer) const {
  bool is_bool = mask.dtype() == bool_;
  const GemmKernels& packers = is_bool ? integer_gemm_kernels().boolean : widen_;
  const void* lines[most_rows];
  int64_t stride = broadcast_stride(mask, 3);
  auto itemsize = static_cast<int64_t>(mask.itemsize());
  for (int64_t i = 0; i < rows.count; i++) {
    lines[i] = shape_.row_of(mask, rows.batch, rows.head, rows.first + i) + key * stride * itemsize;
  }
  if (stride == 1) {
    packers.pack_rows(buffer, static_cast<int>(width_), lines, static_cast<int>(rows.count), keys);
  } else {
    std::fill_n(buffer, keys * width_, 0.0f);
    char line[most_rows * sizeof(float)];
    for (int64_t i = 0; i < rows.count; i++) {
      for (int64_t k = 0; k < keys; k++) {
        const void* from = static_cast<const char*>(lines[i]) + k * stride * itemsize;
        packers.pack_lines(line, 1, &from, 1, 1);
        std::copy_n(reinterpret_cast<const float*>(line), 1, buffer + k * width_ + i);
      }
    }
  }
  if (is_bool) {
    table_.hide(scores, reinterpret_cast<const uint32_t*>(buffer), keys * width_);
  } else {
    table_.add(scores, buffer, keys * width_);
  }
}

}  // namespace mlx::core::cpu
