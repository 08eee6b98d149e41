// Gathered and segmented products on the CPU. Neighbouring products that share a matrix and whose
// rows follow each other run as one.
#include "mlx/primitives/gather_mm.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "mlx/backend/cpu/gemm/gemm.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/denormals.h"
#include "mlx/core/errors.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

/** Offsets in elements of the matrices that `indices` picks from the batch of `in`. */
std::vector<int64_t> matrix_offsets(const char* op, const array& in, const array& indices) {
  Shape batch(in.shape().begin(), in.shape().end() - 2);
  Strides strides(in.strides().begin(), in.strides().end() - 2);
  int64_t count = static_cast<int64_t>(num_elements(batch));
  std::vector<int64_t> offsets(indices.size());
  for (size_t i = 0; i < offsets.size(); i++) {
    int64_t at = element_offset(static_cast<int64_t>(i), indices.shape(), indices.strides());
    int64_t index = indices.data<int64_t>()[at];
    int64_t wrapped = index < 0 ? index + count : index;
    if (wrapped < 0 || wrapped >= count) {
      throw std::out_of_range(
          error_message(op, "Index ", index, " is out of bounds for ", count, " matrices."));
    }
    offsets[i] = element_offset(wrapped, batch, strides);
  }
  return offsets;
}

/** `count` products from `first` on: rows of a follow each other with this stride. */
struct Run {
  size_t first, count;
  int64_t row_stride;
};

std::vector<Run> merge_runs(const std::vector<int64_t>& a, const std::vector<int64_t>& b,
                            int64_t rows, int64_t row_stride) {
  std::vector<Run> runs;
  for (size_t i = 0; i < a.size();) {
    bool pair = i + 1 < a.size() && b[i + 1] == b[i];
    Run run = {i, 1, rows == 1 && pair ? a[i + 1] - a[i] : row_stride};
    while (i + run.count < a.size() && b[i + run.count] == b[i] &&
           a[i + run.count] - a[i + run.count - 1] == rows * run.row_stride) {
      run.count++;
    }
    i += run.count;
    runs.push_back(run);
  }
  return runs;
}

Gemm product_of(const array& a, const array& b, const array& out) {
  Gemm g;
  g.dtype = out.dtype();
  g.m = out.shape(-2);
  g.n = out.shape(-1);
  g.k = a.shape(-1);
  g.a = {a.data<char>(), a.strides(-2), a.strides(-1), nullptr};
  g.b = {b.data<char>(), b.strides(-1), b.strides(-2), nullptr};
  g.out_row_stride = g.n;
  return g;
}

const char* shifted(const void* data, int64_t elements, const array& like) {
  return static_cast<const char*>(data) + elements * static_cast<int64_t>(like.itemsize());
}

/** Runs the products on their own threads where there are enough, else on all threads each. */
void for_each_product(size_t count, FunctionRef<void(int64_t)> run) {
  auto range = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      run(i);
    }
  };
  int64_t n = static_cast<int64_t>(count);
  if (n >= 2 * num_threads()) {
    parallel_for(n, 1, range);
  } else {
    range(0, n);
  }
}

void eval_gather_mm(GatherMM&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array &a = inputs[0], &b = inputs[1];
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) {
    return;
  }
  Denormals mode(Denormals::in_products(out.dtype()));
  std::vector<int64_t> a_offsets = matrix_offsets("gather_mm", a, inputs[2]);
  std::vector<int64_t> b_offsets = matrix_offsets("gather_mm", b, inputs[3]);
  Gemm whole = product_of(a, b, out);
  std::vector<Run> runs = merge_runs(a_offsets, b_offsets, whole.m, whole.a.width_stride);
  for_each_product(runs.size(), [&](int64_t i) {
    const Run& run = runs[i];
    int64_t first = static_cast<int64_t>(run.first);
    Gemm g = whole;
    g.a.data = shifted(whole.a.data, a_offsets[run.first], a);
    g.a.width_stride = run.row_stride;
    g.b.data = shifted(whole.b.data, b_offsets[run.first], b);
    g.out = out.data<char>() + first * g.m * g.n * static_cast<int64_t>(out.itemsize());
    g.m *= static_cast<int64_t>(run.count);
    gemm(g);
  });
}

void eval_segmented_mm(SegmentedMM&, const std::vector<array>& inputs,
                       std::vector<array>& outputs) {
  const array &a = inputs[0], &b = inputs[1], &segments = inputs[2];
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) {
    return;
  }
  auto bound = [&](int64_t i) {
    return segments.data<int64_t>()[element_offset(i, segments.shape(), segments.strides())];
  };
  int64_t depth = a.shape(1), matrix = static_cast<int64_t>(a.shape(0)) * b.shape(1);
  for (int64_t i = 0; i < static_cast<int64_t>(segments.size()); i++) {
    if (bound(i) < 0 || bound(i) > depth) {
      throw std::out_of_range(error_message("segmented_mm", "Segment bound ", bound(i),
                                            " is out of range for a depth of ", depth, "."));
    }
  }
  Denormals mode(Denormals::in_products(out.dtype()));
  for_each_product(segments.size() / 2, [&](int64_t i) {
    int64_t begin = bound(2 * i), end = bound(2 * i + 1);
    Gemm g = product_of(a, b, out);
    g.k = std::max<int64_t>(end - begin, 0);
    g.a.data = shifted(g.a.data, begin * g.a.depth_stride, a);
    g.b.data = shifted(g.b.data, begin * g.b.depth_stride, b);
    g.out = out.data<char>() + i * matrix * static_cast<int64_t>(out.itemsize());
    gemm(g);
  });
}

const Register<GatherMM> gather_mm(eval_gather_mm);
const Register<SegmentedMM> segmented_mm(eval_segmented_mm);

}  // namespace

}  // namespace mlx::core::cpu
