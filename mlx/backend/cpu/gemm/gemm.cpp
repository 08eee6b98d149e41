// Chooses kernels and the way to go, and spreads batches over the threads.
#include "mlx/backend/cpu/gemm/gemm.h"

#include <algorithm>
#include <cstring>

#include "mlx/backend/cpu/gemm/blocked.h"
#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/backend/cpu/runtime/amx.h"
#include "mlx/backend/cpu/runtime/bf16_dot.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kWorkGrain = 1 << 14;  // elements of the output

// What is left of a product without terms: beta * c, or zeros.
void write_empty_sums(const GemmKernels& kernels, const Gemm& g) {
  constexpr int64_t kBlock = 1024;
  alignas(16) static const char zeros[kBlock * 8] = {};
  for (int64_t j = 0; j < g.n; j += kBlock) {
    TileWrite tile = {};
    tile.sums = zeros;
    tile.rows = g.m;
    tile.cols = std::min(kBlock, g.n - j);
    tile.out = static_cast<char*>(g.out) + j * g.out_col_stride * kernels.source_size;
    tile.row_stride = g.out_row_stride;
    tile.col_stride = g.out_col_stride;
    tile.row_offsets = g.out_row_offsets;
    if (g.c) tile.c = static_cast<const char*>(g.c) + j * g.c_col_stride * kernels.source_size;
    tile.c_row_stride = g.c_row_stride;
    tile.c_col_stride = g.c_col_stride;
    tile.alpha = g.alpha;
    tile.beta = g.beta;
    kernels.write(tile);
  }
}

// On the whole output, in pieces of whole rows or, where these are few, of columns.
void work_on_output(const GemmKernels& kernels, const Gemm& g) {
  bool tall = g.m >= g.n;
  int64_t count = tall ? g.m : g.n, other = tall ? g.n : g.m;
  auto out = static_cast<const char*>(g.out);
  int64_t grain = std::max<int64_t>(kWorkGrain / other, 64);
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    const char* first = out + begin * (tall ? g.out_row_stride : 1) * kernels.source_size;
    g.work->run(first, g.out_row_stride, tall ? end - begin : g.m, tall ? g.n : end - begin);
  });
}

void gemm_one(const GemmKernels& kernels, const Gemm& g) {
  if (g.k == 0) {
    write_empty_sums(kernels, g);
    if (g.work) work_on_output(kernels, g);
  } else if (!thin_gemm(kernels, g) && !skinny_gemm(kernels, g)) {
    blocked_gemm(kernels, g);
  }
}

// The product at one index of the batch.
Gemm at_index(const Gemm& g, std::span<const BatchAxis> batch, int64_t index, int64_t itemsize) {
  auto [a, b, out, c] = ProductBatch::place_at(batch, index);
  Gemm one = g;
  one.a.data = static_cast<const char*>(g.a.data) + a * itemsize;
  one.b.data = static_cast<const char*>(g.b.data) + b * itemsize;
  one.out = static_cast<char*>(g.out) + out * itemsize;
  if (g.c) one.c = static_cast<const char*>(g.c) + c * itemsize;
  return one;
}

}  // namespace

const GemmKernels& vector_gemm_kernels(Dtype dtype) {
  switch (dtype.val()) {
    case Dtype::Val::float32:
      return real_gemm_kernels().f32;
    case Dtype::Val::float64:
      return real_gemm_kernels().f64;
    case Dtype::Val::float16:
      return real_gemm_kernels().f16;
    case Dtype::Val::bfloat16:
      // Cores with AMX take as long for a dot product of pairs as for four of f32.
      return has_fast_bf16_dot() && !has_amx_bf16() ? bf16_dot_gemm_kernels()
                                                    : real_gemm_kernels().bf16;
    case Dtype::Val::complex64:
      return complex_gemm_kernels().c64;
    case Dtype::Val::complex128:
      return complex_gemm_kernels().c128;
    case Dtype::Val::bool_:
      return integer_gemm_kernels().boolean;
    case Dtype::Val::int8:
      return integer_gemm_kernels().i8;
    case Dtype::Val::uint8:
      return integer_gemm_kernels().u8;
    case Dtype::Val::int16:
      return integer_gemm_kernels().i16;
    case Dtype::Val::uint16:
      return integer_gemm_kernels().u16;
    case Dtype::Val::int32:
      return integer_gemm_kernels().i32;
    case Dtype::Val::uint32:
      return integer_gemm_kernels().u32;
    case Dtype::Val::int64:
      return integer_gemm_kernels().i64;
    case Dtype::Val::uint64:
      return integer_gemm_kernels().u64;
  }
  __builtin_unreachable();
}

const GemmKernels& gemm_kernels(Dtype dtype) {
  return dtype == bfloat16 && has_amx_bf16() ? bf16_amx_gemm_kernels() : vector_gemm_kernels(dtype);
}

const GemmKernels& gemm_kernels(Dtype dtype, int64_t piece) {
  for (const GemmKernels* kernels : {&gemm_kernels(dtype), &vector_gemm_kernels(dtype)}) {
    if (piece % kernels->unit == 0) return *kernels;
  }
  return real_gemm_kernels().bf16;  // only kernels of bf16 have a unit
}

void gemm(const Gemm& g, std::span<const BatchAxis> batch) {
  int64_t count = 1;
  for (const BatchAxis& axis : batch) count *= axis.size;
  if (count == 0 || g.m == 0 || g.n == 0) return;
  const GemmKernels& kernels = g.kernels ? *g.kernels : gemm_kernels(g.dtype);
  if (count == 1) return gemm_one(kernels, g);
  double work = static_cast<double>(g.m) * static_cast<double>(g.n) * static_cast<double>(g.k);
  auto range = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      gemm_one(kernels, at_index(g, batch, i, kernels.source_size));
    }
  };
  bool large = work > 64.0 * kParallelWork;
  if (large && count < 2 * num_threads()) return range(0, count);
  int64_t grain = static_cast<int64_t>(kParallelWork / std::max(work, 1.0));
  parallel_for(count, std::max<int64_t>(grain, 1), range);
}

}  // namespace mlx::core::cpu
