// Blocks of attention in vectors of floats; half types are widened when they are packed.
#include <utility>

#include "mlx/backend/cpu/attention/score_rows.h"
#include "mlx/backend/cpu/gemm/kernels.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

using Source = GemmKernels RealGemmKernels::*;

constexpr int64_t kLinesAhead = 8;  // for which panels are asked for: they lie in the second cache
constexpr int64_t kPanel = 2 * kLanes<float>;  // keys or columns side by side
constexpr int kRowsOfBlock = static_cast<int>(kBlockRows) / kRegisterRows * kRegisterRows;

// Panels of [depth][rows], as many as fit into the registers.
template <Source Type>
static void pack_query_panels(void* to, const void* const* rows, int64_t count, int64_t depth) {
  const GemmKernels& kernels = real_gemm_kernels().*Type;
  auto panel = static_cast<float*>(to);
  for (int64_t i = 0; i < count; i += kRegisterRows, panel += kRegisterRows * depth) {
    auto here = static_cast<int>(count - i < kRegisterRows ? count - i : kRegisterRows);
    kernels.pack_rows(panel, here, rows + i, here, depth);
  }
}

static inline int panel_width(int64_t left) {
  return static_cast<int>(left > kScoreLanes ? kPanel : kScoreLanes);
}

static inline int64_t whole_lanes(int64_t n) {
  return (n + kScoreLanes - 1) / kScoreLanes * kScoreLanes;
}

// Panels of [depth][keys].
template <Source Type>
static void pack_key_panels(void* to, const void* const* rows, int64_t count, int64_t depth) {
  auto panel = static_cast<float*>(to);
  for (int64_t i = 0; i < count; i += kPanel) {
    int width = panel_width(count - i);
    auto here = static_cast<int>(count - i < width ? count - i : width);
    (real_gemm_kernels().*Type).pack_rows(panel, width, rows + i, here, depth);
    panel += width * depth;
  }
}

// Panels of [key][columns], zeros for keys that fill up the last unit.
template <Source Type>
static void pack_line_panels(void* to, const void* const* lines, int64_t count, int64_t columns) {
  const GemmKernels& kernels = real_gemm_kernels().*Type;
  auto panel = static_cast<float*>(to);
  int64_t padded = whole_lanes(count);
  const void* at[kBlockKeys];
  for (int64_t j = 0; j < columns; j += kPanel) {
    int width = panel_width(columns - j);
    for (int64_t k = 0; k < count; ++k) {
      at[k] = static_cast<const char*>(lines[k]) + j * kernels.source_size;
    }
    auto here = static_cast<int>(columns - j < width ? columns - j : width);
    kernels.pack_lines(panel, width, at, here, count);
    __builtin_memset(panel + count * width, 0, (padded - count) * width * sizeof(float));
    panel += padded * width;
  }
}

static void score_panels(const BlockProduct& p) {
  auto keys = static_cast<const float*>(p.right);
  const MicroKernel* micro = real_gemm_kernels().f32.micro;
  for (int64_t j = 0; j < p.cols; j += kPanel) {
    int width = panel_width(p.packed_keys - j);
    auto queries = static_cast<const float*>(p.left);
    for (int64_t i = 0; i < p.rows; i += kRegisterRows, queries += kRegisterRows * p.depth) {
      int64_t here = p.rows - i < kRegisterRows ? p.rows - i : kRegisterRows;
      micro[(width > kScoreLanes ? kRegisterRows : 0) + here - 1](
          p.depth, queries, keys, p.out + i * p.stride + j, p.stride, false);
    }
    keys += width * p.depth;
  }
}

static float weigh_row(float* scores, int64_t n, float scale, float top) {
  Vec<float> sums[2] = {};
  for (int64_t k = 0; k < n; k += 2 * kScoreLanes) {
    Vec<float> first =
        exp_of_difference<5>(fma<float>(load(scores + k), splat(scale), splat(-top)));
    store(scores + k, first);
    sums[0] += first;
    if (k + kScoreLanes == n) break;
    float* next = scores + k + kScoreLanes;
    Vec<float> second = exp_of_difference<5>(fma<float>(load(next), splat(scale), splat(-top)));
    store(next, second);
    sums[1] += second;
  }
  return sum_of_lanes(sums[0] + sums[1]);
}

static bool advance_floats(const ScoreBlock& block, float* top, float* total, float* factor) {
  return advance_rows(block, top, total, factor, weigh_row);
}

// Adds weights times lines to rows of sums; a step is from one row's weight, or line's, to the
// next.
template <int64_t RowStep, int64_t LineStep, int Rows, int Vectors>
static void add_panel(const float* weights, const float* lines, int64_t count, float* out,
                      int64_t stride) {
  Vec<float> sums[Rows][Vectors] = {};
  for (int64_t k = 0; k < count; ++k, weights += LineStep, lines += Vectors * kScoreLanes) {
    Vec<float> columns[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      columns[v] = load(lines + v * kScoreLanes);
      __builtin_prefetch(lines + (kLinesAhead * Vectors + v) * kScoreLanes);
    }
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      Vec<float> weight = splat(weights[r * RowStep]);
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) sums[r][v] = fma<float>(weight, columns[v], sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      float* to = out + r * stride + v * kScoreLanes;
      store(to, load(to) + sums[r][v]);
    }
  }
}

using AddPanel = void (*)(const float*, const float*, int64_t, float*, int64_t);

struct PanelTable {
  AddPanel kernels[kRegisterRows][2];
};

template <int64_t RowStep, int64_t LineStep, int... R>
static constexpr PanelTable make_panel_table(std::integer_sequence<int, R...>) {
  return {{{add_panel<RowStep, LineStep, R + 1, 1>, add_panel<RowStep, LineStep, R + 1, 2>}...}};
}

template <int64_t RowStep, int64_t LineStep>
static constexpr PanelTable panel_table =
    make_panel_table<RowStep, LineStep>(std::make_integer_sequence<int, kRegisterRows>{});

static void add_line_panels(const BlockProduct& p) {
  auto lines = static_cast<const float*>(p.right);
  auto weights = static_cast<const float*>(p.left);
  for (int64_t j = 0; j < p.cols; j += kPanel) {
    int width = panel_width(p.cols - j);
    for (int64_t i = 0; i < p.rows; i += kRegisterRows) {
      int64_t here = p.rows - i < kRegisterRows ? p.rows - i : kRegisterRows;
      panel_table<kScoreStride, 1>.kernels[here - 1][width > kScoreLanes](
          weights + i * kScoreStride, lines, p.depth, p.out + i * p.stride + j, p.stride);
    }
    lines += width * whole_lanes(p.packed_keys);
  }
}

static void change_floats(const GradientBlock& b) {
  float scale = mask_rows(b.block);
  for (int64_t i = 0; i < b.block.rows; ++i) {
    ChangeRow row(b, i, scale);
    for (int64_t k = 0; k < b.block.padded; k += kScoreLanes) {
      Changed changed = row.at<5>(k);
      store(row.scores + k, changed.weights);
      store(row.changes + k, changed.changes);
    }
  }
}

static void add_column_panels(const ColumnProduct& p) {
  int64_t first = p.first * kRowsOfBlock, end = p.last * kRowsOfBlock;
  if (end > p.rows) end = p.rows;
  auto lines = static_cast<const float*>(p.columns);
  const float* weights = p.weights + first * kScoreStride;
  for (int64_t j = 0; j < p.count; j += kPanel) {
    int width = panel_width(p.count - j);
    for (int64_t k = 0; k < p.keys; k += kRegisterRows) {
      int64_t here = p.keys - k < kRegisterRows ? p.keys - k : kRegisterRows;
      panel_table<1, kScoreStride>.kernels[here - 1][width > kScoreLanes](
          weights + k, lines + first * width, end - first, p.sums + k * p.stride + j, p.stride);
    }
    lines += width * whole_lanes(p.rows);
  }
}

template <Source Type>
static constexpr BlockKernels float_kernels() {
  BlockKernels kernels = {};
  kernels.rows = kRowsOfBlock;
  kernels.gradient_blocks = 4;
  kernels.key_unit = kernels.column_unit = static_cast<int>(kScoreLanes);
  kernels.depth_unit = 1;
  kernels.size = sizeof(float);
  kernels.pack_queries = pack_query_panels<Type>;
  kernels.pack_keys = pack_key_panels<Type>;
  kernels.pack_lines = pack_line_panels<Type>;
  kernels.score = score_panels;
  kernels.advance = advance_floats;
  kernels.add_lines = add_line_panels;
  kernels.rescale = rescale_rows;
  kernels.change = change_floats;
  kernels.pack_columns = pack_line_panels<Type>;
  kernels.add_columns = add_column_panels;
  return kernels;
}

}  // namespace simd

const BlockTables& float_block_kernels() {
  static constexpr BlockTables tables = {simd::float_kernels<&RealGemmKernels::f32>(),
                                         simd::float_kernels<&RealGemmKernels::f16>(),
                                         simd::float_kernels<&RealGemmKernels::bf16>()};
  return tables;
}

}  // namespace mlx::core::cpu::MLX_ISA
