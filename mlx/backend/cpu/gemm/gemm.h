// The one matrix product engine of the CPU backend: out = alpha * A B + beta * C for any dtype, any
// strides, batches, and operands that exist only while panels are packed (image patches, quantised
// weights). matmul, convolution and whatever else multiplies matrices are front ends of it.
#pragma once

#include <cstdint>
#include <span>

#include "mlx/backend/common/product_batch.h"
#include "mlx/backend/cpu/gemm/kernels.h"
#include "mlx/dtype.h"

namespace mlx::core::cpu {

// An operand that is computed when a panel of it is packed. `width` runs along the rows of A or the
// columns of B, the depth along the common axis.
class PanelSource {
 public:
  virtual ~PanelSource() = default;
  // Fills a panel of `panel_width` with entries [begin, begin + count) along the width (zeros
  // beyond) and [depth_begin, depth_begin + depth) along the depth. Called from several threads.
  virtual void pack(const GemmKernels& kernels, void* panel, int panel_width, int64_t begin,
                    int count, int64_t depth_begin, int64_t depth) const = 0;
};

// A matrix in memory, strides in elements (any, also 0 or negative), or a source.
struct GemmOperand {
  const void* data = nullptr;
  int64_t width_stride = 0;  // between rows of A, between columns of B
  int64_t depth_stride = 0;  // along the common axis
  const PanelSource* source = nullptr;
};

// What is done to regions of the output as soon as they are finished, each element once.
class RegionWork {
 public:
  virtual ~RegionWork() = default;
  // Takes `rows` rows of `cols` neighbouring elements; the stride is in elements. Called from
  // several threads.
  virtual void run(const void* first, int64_t row_stride, int64_t rows, int64_t cols) const = 0;
};

struct Gemm {
  Dtype dtype = float32;  // of both operands, c and out
  int64_t m = 0, n = 0, k = 0;
  GemmOperand a, b;
  void* out = nullptr;
  int64_t out_row_stride = 0, out_col_stride = 1;
  const int64_t* out_row_offsets = nullptr;  // replaces out_row_stride: where each row starts
  const void* c = nullptr;                   // may be out itself when their strides agree
  int64_t c_row_stride = 0, c_col_stride = 0;
  double alpha = 1, beta = 1;
  const GemmKernels* kernels = nullptr;  // instead of those of the dtype
  const RegionWork* work = nullptr;      // on an output of dense rows without offsets
};

// Runs the product for every index of the batch (a batch needs operands in memory). f16 and bf16
// are multiplied exactly and summed in f32, integers wrap, booleans are or-ed. The rounding error
// is at most that of a plain loop, k * eps * sum |a||b|, and mostly far below since sums over k are
// taken in blocks and lanes.
void gemm(const Gemm& product, std::span<const BatchAxis> batch = {});

// The fastest kernels for a dtype. Those of vectors pack A and B alike, and any depth of pieces
// that are a multiple of their unit; others may need more of each.
const GemmKernels& gemm_kernels(Dtype dtype);
const GemmKernels& vector_gemm_kernels(Dtype dtype);

// The fastest kernels for operands that are packed in pieces of this depth, or a multiple of it.
const GemmKernels& gemm_kernels(Dtype dtype, int64_t piece);

// Packs part of an operand that lies in memory; what a PanelSource may use for its own parts.
void pack_panel(const GemmKernels& kernels, void* panel, int panel_width, const void* data,
                int64_t width_stride, int64_t depth_stride, int count, int64_t depth);

}  // namespace mlx::core::cpu
