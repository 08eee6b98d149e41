// Softmax on the CPU: rows when the axes are the last ones, otherwise tiles of columns that stay in
// cache through the three passes.
#include "mlx/primitives/softmax.h"

#include <algorithm>
#include <memory>

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/backend/cpu/softmax_kernels.h"
#include "mlx/backend/cpu/tile.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t grain_elements = 1 << 14;
constexpr int64_t cache_elements = 1 << 19;  // of a tile of columns

/** The array as `outer` blocks of n rows of `inner` values, reduced along n. */
struct Extents {
  int64_t outer = 1, n = 1, inner = 1;

  Extents(const Shape& shape, int first, int last) {
    for (int i = 0; i < static_cast<int>(shape.size()); i++) {
      (i < first ? outer : i <= last ? n : inner) *= shape[i];
    }
  }
};

template <typename T>
void run_rows(const SoftmaxKernel<T>& kernel, const array& in, array& out, const Extents& e) {
  bool direct = in.dtype() == stored_dtype<T>;
  auto load = tile_load(in.dtype());
  auto store = tile_store(in.dtype());
  int64_t row_bytes = e.n * static_cast<int64_t>(in.itemsize());
  parallel_for(
      e.outer, std::max<int64_t>(1, grain_elements / e.n), [&](int64_t begin, int64_t end) {
        if (direct) {
          kernel.rows(in.data<T>() + begin * e.n, out.data<T>() + begin * e.n, e.n, end - begin);
          return;
        }
        std::unique_ptr<T[]> row(new T[e.n]);
        for (int64_t i = begin; i < end; i++) {
          load(in.data<char>() + i * row_bytes, 1, row.get(), 1, e.n);
          kernel.rows(row.get(), row.get(), e.n, 1);
          store(row.get(), 1, out.data<char>() + i * row_bytes, 1, e.n);
        }
      });
}

template <typename T>
void run_columns(const SoftmaxKernel<T>& kernel, const array& in, array& out, const Extents& e) {
  bool direct = in.dtype() == stored_dtype<T>;
  auto load = tile_load(in.dtype());
  auto store = tile_store(in.dtype());
  int64_t width = std::clamp<int64_t>(cache_elements / e.n / 16 * 16, 16, max_softmax_columns);
  width = std::min(width, e.inner);
  int64_t tiles = (e.inner + width - 1) / width;
  int64_t itemsize = in.itemsize();
  int64_t grain = std::max<int64_t>(1, grain_elements / (e.n * width));
  parallel_for(e.outer * tiles, grain, [&](int64_t begin, int64_t end) {
    std::unique_ptr<T[]> tile(direct ? nullptr : new T[e.n * width]);
    for (int64_t task = begin; task < end; task++) {
      int64_t first = task % tiles * width;
      int64_t columns = std::min(width, e.inner - first);
      int64_t offset = (task / tiles * e.n * e.inner + first) * itemsize;
      const char* from = in.data<char>() + offset;
      char* to = out.data<char>() + offset;
      if (direct) {
        kernel.columns(reinterpret_cast<const T*>(from), reinterpret_cast<T*>(to), e.n, e.inner,
                       columns);
        continue;
      }
      int64_t row_bytes = e.inner * itemsize;
      for (int64_t i = 0; i < e.n; i++) {
        load(from + i * row_bytes, 1, tile.get() + i * columns, 1, columns);
      }
      kernel.columns(tile.get(), tile.get(), e.n, columns, columns);
      for (int64_t i = 0; i < e.n; i++) {
        store(tile.get() + i * columns, 1, to + i * row_bytes, 1, columns);
      }
    }
  });
}

template <typename T>
void run(const SoftmaxKernel<T>& kernel, const array& in, array& out, const Extents& e) {
  if (e.inner == 1) {
    run_rows(kernel, in, out, e);
  } else {
    run_columns(kernel, in, out, e);
  }
}

template <typename T>
void run_jacobian(const SoftmaxKernel<T>& kernel, const array& y, const array& d, array& out,
                  int64_t n) {
  bool direct = y.dtype() == stored_dtype<T>;
  auto load = tile_load(y.dtype());
  auto store = tile_store(y.dtype());
  int64_t rows = static_cast<int64_t>(y.size()) / n;
  int64_t row_bytes = n * static_cast<int64_t>(y.itemsize());
  parallel_for(rows, std::max<int64_t>(1, grain_elements / n), [&](int64_t begin, int64_t end) {
    if (direct) {
      kernel.jacobian(y.data<T>() + begin * n, d.data<T>() + begin * n, out.data<T>() + begin * n,
                      n, end - begin);
      return;
    }
    std::unique_ptr<T[]> buffers(new T[2 * n]);
    T *y_row = buffers.get(), *d_row = y_row + n;
    for (int64_t i = begin; i < end; i++) {
      load(y.data<char>() + i * row_bytes, 1, y_row, 1, n);
      load(d.data<char>() + i * row_bytes, 1, d_row, 1, n);
      kernel.jacobian(y_row, d_row, d_row, n, 1);
      store(d_row, 1, out.data<char>() + i * row_bytes, 1, n);
    }
  });
}

void eval_softmax_jacobian(SoftmaxJacobian& primitive, const std::vector<array>& inputs,
                           std::vector<array>& outputs) {
  array& out = outputs[0];
  if (!inputs[1].flags().row_contiguous || !write_over(inputs[1], out)) {
    out.set_data(allocator::malloc(out.nbytes()));
  }
  if (out.size() == 0) {
    return;
  }
  array y = contiguous(inputs[0]), d = contiguous(inputs[1]);
  int64_t n = 1;
  for (int i = 1; i <= primitive.count(); i++) n *= y.shape(-i);
  if (y.dtype() == float64) {
    run_jacobian(softmax_table().f64, y, d, out, n);
  } else {
    run_jacobian(softmax_table().f32, y, d, out, n);
  }
}

void eval_softmax(Softmax& primitive, const std::vector<array>& inputs,
                  std::vector<array>& outputs) {
  array& out = outputs[0];
  if (!inputs[0].flags().row_contiguous || !write_over(inputs[0], out)) {
    out.set_data(allocator::malloc(out.nbytes()));
  }
  if (out.size() == 0) {
    return;
  }
  array in = contiguous(inputs[0]);
  Extents extents(in.shape(), primitive.first(), primitive.last());
  if (in.dtype() == float64) {
    run(softmax_table().f64, in, out, extents);
  } else {
    run(softmax_table().f32, in, out, extents);
  }
}

const Register<SoftmaxJacobian> softmax_jacobian(eval_softmax_jacobian);
const Register<Softmax> softmax(eval_softmax);

}  // namespace

}  // namespace mlx::core::cpu
