// Chooses between kernels for few rows, which read the matrix once at the speed of memory, and the
// gemm engine, for which panels are unpacked as they are needed.
#include "mlx/backend/cpu/quantized/product.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "mlx/backend/cpu/gemm/gemm.h"
#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/backend/cpu/gemm/skinny.h"
#include "mlx/backend/cpu/runtime/amx.h"
#include "mlx/core/parallel.h"
#include "mlx/utils.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kFewRows = 8;
constexpr int64_t kRowBlock = 512;         // rows of x that are rounded at a time
constexpr int64_t kGrainBytes = 32 << 10;  // of a matrix, worth a thread
constexpr int64_t kPartBytes = 128 << 10;  // of a matrix, worth a turn of a thread
constexpr int64_t kGrainSums = 1 << 15;
constexpr int64_t kLineColumns = 256, kLineDepth = 32;

int64_t round_up(int64_t a, int64_t b) { return (a + b - 1) / b * b; }

std::atomic<bool>& rounding() {
  static std::atomic<bool> allowed = env::get_var("MLX_ROUND_ACTIVATIONS", 1) != 0;
  return allowed;
}

const RoundedKernels& rounded() {
  return has_avx512_vnni() ? rounded_vnni_kernels() : rounded_kernels();
}

// Packers and writers of the dtype whose panels are floats.
const GemmKernels& float_panels(Dtype dtype) {
  const RealGemmKernels& real = real_gemm_kernels();
  return dtype == float32 ? real.f32 : dtype == float16 ? real.f16 : real.bf16;
}

/** Rows of x as the kernels take them, in memory of the calling thread. */
class Rows {
 public:
  Rows(const QuantizedProduct& p, bool paired)
      : p_(p),
        paired_(paired),
        stride_(round_up(p.k, kSplitBlock)),
        group_stride_(round_up(p.k / p.w.group, kGroupPadding)),
        values_(p.m * stride_ * sizeof(float) + 64),
        factors_(2 * p.m * group_stride_ * sizeof(float)) {}

  /** Returns false where a row has no finite largest. `split` may be null. */
  bool round(void (*split)(int16_t*, int64_t) = nullptr) {
    std::atomic<bool> finite = true;
    for_rows([&](int64_t r) {
      RoundedRow row = {at(r), p_.k, p_.w.group, unit(), paired_, codes(r), scales(r), sums(r)};
      auto round =
          p_.dtype == float16 ? quantized_kernels().round_f16 : quantized_kernels().round_bf16;
      std::fill(codes(r) + p_.k / kCodeBlock * kCodeBlock, codes(r) + stride_, 0);
      clear_padding(r);
      if (!round(row)) finite = false;
      if (split) split(codes(r), stride_);
    });
    return finite;
  }

  void widen() {
    for_rows([&](int64_t r) {
      float* to = values_.as<float>() + r * stride_;
      const void* from = at(r);
      int width = static_cast<int>(p_.k);
      float_panels(p_.dtype).pack_lines(to, width, &from, width, 1);
      std::fill(to + p_.k, to + stride_, 0.0f);
      quantized_kernels().sum_groups(to, p_.k, p_.w.group, sums(r));
      std::fill_n(scales(r), p_.k / p_.w.group, unit());
      clear_padding(r);
    });
  }

  Activations activations() const {
    return {values_.as<float>(),
            values_.as<int16_t>(),
            factors_.as<float>(),
            factors_.as<float>() + p_.m * group_stride_,
            stride_,
            group_stride_};
  }

 private:
  template <typename F>
  void for_rows(F&& f) const {
    parallel_for(p_.m, std::max<int64_t>(1, (1 << 16) / p_.k), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) f(r);
    });
  }
  const void* at(int64_t r) const {
    int64_t itemsize = size_of(p_.dtype);
    return static_cast<const char*>(p_.x) + p_.x_rows[r] * itemsize;
  }
  void clear_padding(int64_t r) const {
    int64_t groups = p_.k / p_.w.group;
    std::fill(scales(r) + groups, scales(r) + group_stride_, 0.0f);
    std::fill(sums(r) + groups, sums(r) + group_stride_, 0.0f);
  }
  float unit() const { return p_.code == Code::e2m1 ? 1.0f / 512 : 1.0f; }
  int16_t* codes(int64_t r) const { return values_.as<int16_t>() + r * stride_; }
  float* scales(int64_t r) const { return factors_.as<float>() + r * group_stride_; }
  float* sums(int64_t r) const { return scales(r) + p_.m * group_stride_; }

  const QuantizedProduct& p_;
  bool paired_;
  int64_t stride_, group_stride_;
  Scratch values_, factors_;
};

/** Columns [begin, end) of the output. */
void write_sums(const QuantizedProduct& p, const float* sums, int64_t begin, int64_t end) {
  TileWrite tile = {};
  tile.sums = sums + begin;
  tile.sums_stride = p.n;
  tile.rows = p.m;
  tile.cols = end - begin;
  tile.out = static_cast<char*>(p.out) + begin * size_of(p.dtype);
  tile.col_stride = 1;
  tile.row_offsets = p.out_rows;
  tile.alpha = p.factor;
  float_panels(p.dtype).write(tile);
}

void multiply_few_rows(const QuantizedProduct& p, bool may_round) {
  int code = static_cast<int>(p.code);
  auto split = rounded().split[code];
  bool paired = !split && p.w.group > 16 && (p.code == Code::u4 || p.code == Code::e2m1);
  Rows rows(p, paired);
  bool rounds = may_round && rows.round(split);
  if (!rounds) rows.widen();
  auto kernel = rounds ? rounded().few_rows[code] : quantized_kernels().few_rows[code];
  Scratch sums(p.m * p.n * sizeof(float));
  int64_t row_cost = p.w.row_bytes * (rounds ? p.m + 1 : 2 * p.m + 1) / 2;
  auto multiply = [&](int64_t row, int streams, int64_t count, int64_t apart) {
    kernel({rows_from(p.w, row), rows.activations(), static_cast<int>(p.m), streams, count, apart,
            sums.as<float>() + row, p.n});
  };
  int64_t each = p.n / kStreams, rest = p.n % kStreams;
  int64_t part = std::max<int64_t>(1, kPartBytes / (kStreams * row_cost));
  parallel_for((each + part - 1) / part, 1, [&](int64_t begin, int64_t end) {
    multiply(begin * part, kStreams, std::min(end * part, each) - begin * part, each);
  });
  if (rest > 0) multiply(p.n - rest, static_cast<int>(rest), 1, 1);
  parallel_for(p.n, kGrainSums / p.m,
               [&](int64_t begin, int64_t end) { write_sums(p, sums.as<float>(), begin, end); });
}

/** Blocks of rows of the matrix become floats, which few rows of x are multiplied with. */
void multiply_few_rows_by_lines(const QuantizedProduct& p) {
  auto widen = quantized_kernels().widen[static_cast<int>(p.code)];
  Scratch x(p.m * p.k * sizeof(float) + 64), sums(p.m * p.n * sizeof(float));
  int64_t itemsize = size_of(p.dtype);
  for (int64_t r = 0; r < p.m; ++r) {
    const void* from = static_cast<const char*>(p.x) + p.x_rows[r] * itemsize;
    int width = static_cast<int>(p.k);
    float_panels(p.dtype).pack_lines(x.as<float>() + r * p.k, width, &from, width, 1);
  }
  int64_t blocks = (p.n + kLineColumns - 1) / kLineColumns;
  int64_t grain = std::max<int64_t>(1, 2 * kGrainBytes / (kLineColumns * p.k));
  parallel_for(blocks, grain, [&](int64_t begin, int64_t end) {
    Scratch lines(kLineDepth * kLineColumns * sizeof(float));
    Scratch part(p.m * kLineColumns * sizeof(float));
    for (int64_t j = begin * kLineColumns; j < std::min(end * kLineColumns, p.n);
         j += kLineColumns) {
      int64_t cols = std::min(kLineColumns, p.n - j);
      for (int64_t k = 0; k < p.k; k += kLineDepth) {
        int64_t depth = std::min(kLineDepth, p.k - k);
        for (int64_t i = 0; i < depth; ++i) {
          widen(rows_from(p.w, k + i), j, cols, lines.as<float>() + i * cols);
        }
        SkinnyProduct product = {
            x.as<float>() + k, p.k, static_cast<int>(p.m), lines.data(), cols, depth, cols,
            part.data(),       cols};
        skinny_kernels().f32.lines(product);
        for (int64_t r = 0; r < p.m; ++r) {
          float* to = sums.as<float>() + r * p.n + j;
          const float* from = part.as<float>() + r * cols;
          for (int64_t c = 0; c < cols; ++c) to[c] = k == 0 ? from[c] : to[c] + from[c];
        }
      }
    }
  });
  write_sums(p, sums.as<float>(), 0, p.n);
}

/** Panels of the quantised matrix, as integers or as floats. */
class CodesSource : public PanelSource {
 public:
  CodesSource(const QuantizedProduct& p, bool rounds) : p_(p), rounds_(rounds) {}

  void pack(const GemmKernels&, void* panel, int width, int64_t begin, int count,
            int64_t depth_begin, int64_t depth) const override {
    int code = static_cast<int>(p_.code);
    if (rounds_) {
      quantized_kernels().pack_rows[code](panel, width, rows_from(p_.w, begin), count, depth_begin,
                                          depth);
    } else if (p_.transposed) {
      pack_float_rows(panel, width, begin, count, depth_begin, depth);
    } else {
      auto to = static_cast<float*>(panel);
      for (int64_t k = 0; k < depth; ++k, to += width) {
        quantized_kernels().widen[code](rows_from(p_.w, depth_begin + k), begin, count, to);
        std::fill(to + count, to + width, 0.0f);
      }
    }
  }

 private:
  void pack_float_rows(void* panel, int width, int64_t begin, int count, int64_t depth_begin,
                       int64_t depth) const {
    constexpr int64_t kPart = 256;
    constexpr int kMaxWidth = 64;
    Scratch values(width * kPart * sizeof(float));
    for (int64_t k = 0; k < depth; k += kPart) {
      int64_t here = std::min(kPart, depth - k);
      const void* rows[kMaxWidth];
      for (int i = 0; i < count; ++i) {
        float* row = values.as<float>() + i * kPart;
        quantized_kernels().widen[static_cast<int>(p_.code)](rows_from(p_.w, begin + i),
                                                             depth_begin + k, here, row);
        rows[i] = row;
      }
      auto to = static_cast<float*>(panel) + k * width;
      real_gemm_kernels().f32.pack_rows(to, width, rows, count, here);
    }
  }

  const QuantizedProduct& p_;
  bool rounds_;
};

/** Panels of the quantised matrix as tiles of bf16. */
class TilesSource : public PanelSource {
 public:
  explicit TilesSource(const QuantizedProduct& p) : p_(p) {}

  void pack(const GemmKernels& kernels, void* panel, int width, int64_t begin, int count,
            int64_t depth_begin, int64_t depth) const override {
    if (p_.transposed) {
      tile_packers().pack[static_cast<int>(p_.code)](panel, width, rows_from(p_.w, begin), count,
                                                     depth_begin, depth);
    } else {
      pack_lines(kernels, panel, width, begin, count, depth_begin, depth);
    }
  }

 private:
  void pack_lines(const GemmKernels& kernels, void* panel, int width, int64_t begin, int count,
                  int64_t depth_begin, int64_t depth) const {
    Scratch values(count * sizeof(float) + 64), rounded(depth * count * size_of(p_.dtype));
    std::vector<const void*> lines(depth);
    for (int64_t k = 0; k < depth; ++k) {
      quantized_kernels().widen[static_cast<int>(p_.code)](rows_from(p_.w, depth_begin + k), begin,
                                                           count, values.as<float>());
      TileWrite line = {};
      line.sums = values.data();
      line.rows = 1;
      line.cols = count;
      line.out = rounded.as<uint16_t>() + k * count;
      line.col_stride = 1;
      line.alpha = 1;
      float_panels(p_.dtype).write(line);
      lines[k] = line.out;
    }
    kernels.pack_lines(panel, width, lines.data(), count, depth);
  }

  const QuantizedProduct& p_;
};

/** Panels of rounded rows of x. */
class RoundedSource : public PanelSource {
 public:
  RoundedSource(const Activations& x, int group) : x_(x), group_(group) {}

  void pack(const GemmKernels&, void* panel, int, int64_t begin, int count, int64_t depth_begin,
            int64_t depth) const override {
    Activations rows = x_;
    rows.codes += begin * x_.stride;
    rows.scales += begin * x_.group_stride;
    rows.sums += begin * x_.group_stride;
    quantized_kernels().pack_activations(panel, rows, group_, count, depth_begin, depth);
  }

 private:
  Activations x_;
  int group_;
};

/** Panels of rows of x as they lie in memory. */
class GatheredSource : public PanelSource {
 public:
  explicit GatheredSource(const QuantizedProduct& p) : p_(p) {}

  void pack(const GemmKernels& kernels, void* panel, int width, int64_t begin, int count,
            int64_t depth_begin, int64_t depth) const override {
    const void* rows[64];
    for (int i = 0; i < count; ++i) {
      int64_t at = p_.x_rows[begin + i] + depth_begin;
      rows[i] = static_cast<const char*>(p_.x) + at * kernels.source_size;
    }
    kernels.pack_rows(panel, width, rows, count, depth);
  }

 private:
  const QuantizedProduct& p_;
};

Gemm product_of(const QuantizedProduct& p, const PanelSource& a, const PanelSource& b) {
  Gemm g;
  g.dtype = p.dtype;
  g.m = p.m;
  g.n = p.n;
  g.k = p.k;
  g.a.source = &a;
  g.b.source = &b;
  g.out = p.out;
  g.out_row_offsets = p.out_rows;
  g.alpha = p.factor;
  return g;
}

/** By integers; returns false where rows cannot be rounded. */
bool multiply_rounded(const QuantizedProduct& p) {
  Rows rows(p, false);
  if (!rows.round()) return false;
  RoundedSource a(rows.activations(), p.w.group);
  CodesSource b(p, true);
  int index = p.w.group == 16 ? 0 : p.w.group == 32 ? 1 : p.w.group == 64 ? 2 : 3;
  GemmKernels kernels = rounded().panels[index];
  kernels.source_size = size_of(p.dtype);
  kernels.write = float_panels(p.dtype).write;
  Gemm g = product_of(p, a, b);
  g.kernels = &kernels;
  gemm(g);
  return true;
}

/** By AMX, with values of the matrix that are rounded to bf16. Rows of x are packed once; columns
 *  become panels in the cache of the thread that multiplies them, a few at a time, so that rows
 * that do not stay there are read seldom. */
class TilesProduct {
 public:
  explicit TilesProduct(const QuantizedProduct& p)
      : p_(p),
        a_(p),
        b_(p),
        kernels_(gemm_kernels(bfloat16)),
        rows_((p.m + kTileSide - 1) / kTileSide),
        packed_(rows_ * kTileSide * round_up(p.k, kernels_.unit) * size_of(p.dtype)) {}

  void run() {
    parallel_for(rows_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) pack_rows(r);
    });
    int64_t panels = (p_.n + kTileSide - 1) / kTileSide;
    int64_t group = std::clamp<int64_t>(panels / (4 * num_threads()), 1, kTilePanels);
    parallel_for((panels + group - 1) / group, 1, [&](int64_t begin, int64_t end) {
      AmxTiles tiles;
      for (int64_t g = begin; g < end; ++g) {
        int64_t first = g * group * kTileSide;
        multiply_columns(first, std::min(first + group * kTileSide, p_.n));
      }
    });
  }

 private:
  static constexpr int64_t kTileSide = 32, kTilePanels = 8, kTileDepth = 1024;
  static constexpr int64_t kSums = kTileSide * kTileSide;

  int64_t row_count(int64_t r) const { return std::min(kTileSide, p_.m - r * kTileSide); }
  // Of a panel of so many steps of the depth.
  int64_t panel_bytes(int64_t depth) const {
    return round_up(depth, kernels_.unit) / kernels_.unit * kTileSide * kernels_.packed_size;
  }
  char* rows_at(int64_t r, int64_t k) const {
    int64_t depth = std::min(kTileDepth, p_.k - k);
    return packed_.as<char>() + rows_ * panel_bytes(k) + r * panel_bytes(depth);
  }

  void pack_rows(int64_t r) const {
    int count = static_cast<int>(row_count(r));
    int width = static_cast<int>(round_up(count, kernels_.row_unit));
    for (int64_t k = 0; k < p_.k; k += kTileDepth) {
      a_.pack(kernels_.for_left(), rows_at(r, k), width, r * kTileSide, count, k,
              std::min(kTileDepth, p_.k - k));
    }
  }

  void multiply_columns(int64_t begin, int64_t end) const {
    int64_t panels = (end - begin + kTileSide - 1) / kTileSide;
    Scratch panel(panel_bytes(kTileDepth)), sums(rows_ * panels * kSums * sizeof(float));
    for (int64_t k = 0; k < p_.k; k += kTileDepth) {
      int64_t depth = std::min(kTileDepth, p_.k - k);
      float* to = sums.as<float>();
      for (int64_t col = begin; col < end; col += kTileSide) {
        int count = static_cast<int>(std::min(kTileSide, end - col));
        int vectors = count > kernels_.lanes ? 2 : 1;
        b_.pack(kernels_, panel.data(), vectors * kernels_.lanes, col, count, k, depth);
        for (int64_t r = 0; r < rows_; ++r, to += kSums) {
          MicroKernel micro = kernels_.micro[(vectors - 1) * kernels_.rows + row_count(r) - 1];
          micro(round_up(depth, kernels_.unit) / kernels_.unit, rows_at(r, k), panel.data(), to,
                kTileSide, k > 0);
        }
      }
    }
    write(sums.as<float>(), begin, end);
  }

  void write(const float* sums, int64_t begin, int64_t end) const {
    for (int64_t col = begin; col < end; col += kTileSide) {
      for (int64_t r = 0; r < rows_; ++r, sums += kSums) {
        TileWrite tile = {};
        tile.sums = sums;
        tile.sums_stride = kTileSide;
        tile.rows = row_count(r);
        tile.cols = std::min(kTileSide, end - col);
        tile.out = static_cast<char*>(p_.out) + col * size_of(p_.dtype);
        tile.col_stride = 1;
        tile.row_offsets = p_.out_rows + r * kTileSide;
        tile.alpha = p_.factor;
        kernels_.write(tile);
      }
    }
  }

  const QuantizedProduct& p_;
  GatheredSource a_;
  TilesSource b_;
  const GemmKernels& kernels_;
  int64_t rows_;  // panels of them
  Scratch packed_;
};

void multiply_panels(const QuantizedProduct& p) {
  GatheredSource a(p);
  CodesSource b(p, false);
  Gemm g = product_of(p, a, b);
  g.kernels = &float_panels(p.dtype);
  gemm(g);
}

}  // namespace

QuantizedRows rows_from(const QuantizedRows& w, int64_t row) {
  bool half = w.scale == Scale::f16 || w.scale == Scale::bf16;
  int64_t offset = row * w.row_groups * (w.scale == Scale::f32 ? 4 : half ? 2 : 1);
  QuantizedRows rows = w;
  rows.codes += row * w.row_bytes;
  rows.scales = static_cast<const char*>(w.scales) + offset;
  if (w.biases) rows.biases = static_cast<const char*>(w.biases) + offset;
  return rows;
}

bool activation_rounding() { return rounding().load(std::memory_order_relaxed); }

bool set_activation_rounding(bool allowed) { return rounding().exchange(allowed); }

void multiply_quantized(const QuantizedProduct& p) {
  if (p.m == 0 || p.n == 0) return;
  bool may_round =
      p.transposed && p.dtype != float32 && p.code != Code::e4m3 && activation_rounding();
  if (p.m <= kFewRows) {
    return p.transposed ? multiply_few_rows(p, may_round) : multiply_few_rows_by_lines(p);
  }
  bool tiles = p.dtype == bfloat16 && has_amx_bf16() && activation_rounding();
  QuantizedProduct block = p;
  for (int64_t first = 0; first < p.m; first += kRowBlock) {
    block.m = std::min(kRowBlock, p.m - first);
    block.x_rows = p.x_rows + first;
    block.out_rows = p.out_rows + first;
    if (tiles) {
      TilesProduct(block).run();
    } else if (!may_round || !multiply_rounded(block)) {
      multiply_panels(block);
    }
  }
}

}  // namespace mlx::core::cpu
