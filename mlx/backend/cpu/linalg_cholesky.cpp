// Cholesky and triangular systems on the CPU. A row-major matrix is the transpose of a column-major
// one, so either triangle is in place for either factor: A = L L^H becomes conj(A) = U^H U with
// U = L^T. Real numbers have kernels, which make lower factors, and others LAPACK's upper ones.
#include <algorithm>

#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/backend/cpu/lapack.h"
#include "mlx/backend/cpu/linalg.h"
#include "mlx/backend/cpu/linalg_panels.h"
#include "mlx/backend/cpu/lu_kernels.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/layout.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::cpu {

namespace {

constexpr int block = 128;

/** The upper factor of a column-major matrix in place; LAPACK's info. */
template <typename T>
int factor_upper(T* a, int n) {
  const auto& lapack = Lapack<T>::instance();
  const T one = 1, minus_one = -1;
  auto at = [&](int64_t row, int64_t column) { return a + row + column * n; };
  for (int k = 0; k < n; k += block) {
    int width = n < 2 * block ? n : std::min(block, n - k), rest = k + width, info = 0;
    lapack.potrf("U", &width, at(k, k), &n, &info, 1);
    if (info != 0) {
      return info + k;
    }
    if (rest >= n) {
      break;
    }
    for_blocks(n - rest, [&](int begin, int end) {
      int count = end - begin;
      lapack.trsm("L", "U", "C", "N", &width, &count, &one, at(k, k), &n, at(k, rest + begin), &n,
                  1, 1, 1, 1);
    });
    for_blocks(n - rest, [&](int begin, int end) {
      int height = end, count = end - begin;
      lapack.gemm("C", "N", &height, &count, &width, &minus_one, at(k, rest), &n,
                  at(k, rest + begin), &n, &one, at(rest, rest + begin), &n, 1, 1);
    });
  }
  return 0;
}

/** The lower factor of a column-major matrix of real numbers in place; LAPACK's info. */
template <typename T>
int factor_lower(T* a, int n) {
  constexpr int columns_of_task = 16;
  const auto& kernels = lu_kernels_of<T>();
  int64_t size = kernels.panel_size(n, std::min(lu_panel, n));
  Scratch space(size * kept_panels * sizeof(T));
  int first_bad = 0;
  auto at = [&](int64_t row, int64_t column) { return a + row + column * n; };
  auto packed = [&](int panel) {
    int j = panel * lu_panel;
    T* tiles = space.as<T>() + panel % kept_panels * size;
    return LuPanel<T>{tiles, n - j, std::min(lu_panel, n - j), nullptr};
  };
  auto factor = [&](int panel) {
    int j = panel * lu_panel, info = kernels.factor_positive(packed(panel), at(j, j), n);
    first_bad = first_bad == 0 && info > 0 ? info + j : first_bad;
  };
  auto finish = [&](int panel) {
    int j = panel * lu_panel;
    kernels.unpack(packed(panel), at(j, j), n);
  };
  auto apply = [&](int panel, int column, int count) {
    int j = panel * lu_panel;
    kernels.apply_positive(packed(panel), at(j, column), n, column - j, count);
  };
  run_panels({n, n, columns_of_task, factor, finish, apply});
  return first_bad;
}

/** The factor in the triangle that the type's way leaves it in, and zeros in the other. */
template <typename T>
int factor(T* a, int n) {
  int info = 0;
  if constexpr (Lapack<T>::complex) {
    info = factor_upper(a, n);
  } else {
    info = factor_lower(a, n);
  }
  for (int64_t column = 0; column < n; column++) {
    T* rows = a + column * n;
    if constexpr (Lapack<T>::complex) {
      std::fill(rows + column + 1, rows + n, T{});
    } else {
      std::fill(rows, rows + column, T{});
    }
  }
  return info;
}

template <typename T>
void factor_all(array& matrices, const char* op) {
  int n = matrices.shape(-1);
  int64_t size = int64_t{n} * n;
  T* data = elements<T>(matrices);
  for_matrices(
      op, matrix_count(matrices), size * n / 3.0, true,
      [&](int64_t i) { return factor(data + i * size, n); }, not_positive);
}

/** A triangular matrix where LAPACK can read it: `transposed` if it is column major. */
struct Triangle {
  array matrices;
  bool transposed;
  int stride;

  explicit Triangle(const array& a) : matrices(a), transposed(false), stride(1) {
    int64_t n = a.shape(-1);
    bool rows = a.strides(-1) == 1 && a.strides(-2) >= n;
    transposed = !rows && a.strides(-2) == 1 && a.strides(-1) >= n;
    int64_t step = transposed ? a.strides(-1) : a.strides(-2);
    if ((!rows && !transposed) || step > INT32_MAX) {
      matrices = rows_copy(a);
      transposed = false;
      step = n;
    }
    stride = static_cast<int>(std::max<int64_t>(step, 1));
  }

  int64_t offset(int64_t i) const {
    const auto &shape = matrices.shape(), batch = Shape(shape.begin(), shape.end() - 2);
    const auto& s = matrices.strides();
    return element_offset(i, batch, Strides(s.begin(), s.end() - 2));
  }
};

template <typename T>
void solve_all(const array& a, array& x, bool upper, bool unit) {
  const auto& lapack = Lapack<T>::instance();
  Triangle triangle(a);
  int n = x.shape(-2), k = x.shape(-1);
  const T* matrices = reinterpret_cast<const T*>(triangle.matrices.data<char>());
  T* solutions = elements<T>(x);
  const T one = 1;
  for_matrices(
      "linalg::solve_triangular", matrix_count(x), double(n) * n * k, true,
      [&](int64_t i) {
        const T* matrix = matrices + triangle.offset(i);
        for (int64_t j = 0; j < n && !unit; j++) {
          if (matrix[j * (triangle.stride + 1)] == T{}) {
            return static_cast<int>(j) + 1;
          }
        }
        // X^T A^T = B^T, by rows of B^T.
        for_blocks(k, [&](int begin, int end) {
          int count = end - begin;
          lapack.trsm("R", upper == triangle.transposed ? "U" : "L",
                      triangle.transposed ? "T" : "N", unit ? "U" : "N", &count, &n, &one, matrix,
                      &triangle.stride, solutions + i * n * k + begin, &k, 1, 1, 1, 1);
        });
        return 0;
      },
      zero_diagonal);
}

void eval_cholesky(Cholesky& primitive, const std::vector<array>& inputs,
                   std::vector<array>& outputs) {
  // The upper triangle of A^T, column by column, is the lower one of A, row by row.
  bool leaves_upper = is_complex_dtype(inputs[0].dtype());
  array a = primitive.upper() == leaves_upper ? columns_copy(inputs[0]) : rows_copy(inputs[0]);
  if (a.size() > 0) {
    with_matrix_type(a.dtype(), [&](auto x) { factor_all<decltype(x)>(a, "linalg::cholesky"); });
  }
  take_buffer(a, outputs[0], a.strides());
}

void eval_triangular_solve(TriangularSolve& primitive, const std::vector<array>& inputs,
                           std::vector<array>& outputs) {
  array x = rows_copy(inputs[1]);
  if (x.size() > 0) {
    with_matrix_type(x.dtype(), [&](auto t) {
      solve_all<decltype(t)>(inputs[0], x, primitive.upper(), primitive.unit());
    });
  }
  take_buffer(x, outputs[0], x.strides());
}

const Register<Cholesky> cholesky(eval_cholesky);
const Register<TriangularSolve> triangular_solve(eval_triangular_solve);

}  // namespace

}  // namespace mlx::core::cpu
