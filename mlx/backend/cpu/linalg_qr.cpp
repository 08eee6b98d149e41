// QR on the CPU by block reflectors: panels in one thread, what they do to the rest in the others.
#include <algorithm>

#include "mlx/backend/cpu/lapack.h"
#include "mlx/backend/cpu/linalg.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/primitives/linalg.h"

namespace mlx::core::cpu {

namespace {

constexpr int block = 64;

/** One matrix, column major with m rows, and the triangles of its block reflectors. */
template <typename T>
class Reflectors {
 public:
  Reflectors(T* a, int m, int n)
      : lapack_(Lapack<T>::instance()),
        a_(a),
        m_(m),
        n_(n),
        k_(std::min(m, n)),
        triangles_(static_cast<size_t>(block) * k_) {}

  /** R in the upper triangle, the reflectors below. Each panel is factored as soon as its own
   *  columns are up to date, while other threads still bring the rest there. */
  void factor() {
    factor_panel(0);
    for (int j = 0; j < k_; j += block) {
      int after = std::min(j + block, k_), next = std::min(block, k_ - after);
      auto next_panel = [&] {
        if (next > 0) {
          reflect(j, "C", at(j, after), m_, next);
          factor_panel(after);
        }
      };
      for_blocks_after(next_panel, n_ - after - next, [&](int begin, int end) {
        reflect(j, "C", at(j, after + next + begin), m_, end - begin);
      });
    }
  }

  /** The first k columns of Q, with m rows. */
  void form(T* q) const {
    for_blocks(k_, [&](int begin, int end) {
      for (int64_t column = begin; column < end; column++) {
        std::fill(q + column * m_, q + (column + 1) * m_, T{});
        q[column * m_ + column] = T{1};
      }
      for (int j = (end - 1) / block * block; j >= 0; j -= block) {
        reflect(j, "N", q + j + int64_t{begin} * m_, m_, end - begin);
      }
    });
  }

 private:
  T* at(int64_t row, int64_t column) const { return a_ + row + column * m_; }
  T* triangle(int j) const { return const_cast<T*>(triangles_.data()) + int64_t{j} * block; }

  void factor_panel(int j) {
    int width = std::min(block, k_ - j), height = m_ - j, info = 0;
    lapack_.geqrt3(&height, &width, at(j, j), &m_, triangle(j), &block, &info);
  }

  /** Applies the reflectors of the panel at j, or their adjoint, to `count` columns from row j. */
  void reflect(int j, const char* trans, T* columns, int stride, int count) const {
    int height = m_ - j, width = std::min(block, k_ - j);
    std::vector<T> work(static_cast<size_t>(count) * width);
    lapack_.larfb("L", Lapack<T>::complex || *trans == 'N' ? trans : "T", "F", "C", &height, &count,
                  &width, at(j, j), &m_, triangle(j), &block, columns, &stride, work.data(), &count,
                  1, 1, 1, 1);
  }

  const Lapack<T>& lapack_;
  T* a_;
  int m_, n_, k_;
  std::vector<T> triangles_;
};

template <typename T>
void factor_all(array& a, array& q, array& r) {
  int m = a.shape(-2), n = a.shape(-1), k = std::min(m, n);
  T *matrices = elements<T>(a), *orthogonal = elements<T>(q), *upper = elements<T>(r);
  for_matrices(
      "linalg::qr", matrix_count(a), 2.0 * m * n * k, true,
      [&](int64_t i) {
        T* matrix = matrices + i * m * n;
        Reflectors<T> reflectors(matrix, m, n);
        reflectors.factor();
        for (int64_t j = 0; j < n; j++) {
          T* column = upper + i * k * n + j * k;
          int64_t filled = std::min<int64_t>(j + 1, k);
          std::copy(matrix + j * m, matrix + j * m + filled, column);
          std::fill(column + filled, column + k, T{});
        }
        reflectors.form(orthogonal + i * m * k);
        return 0;
      },
      not_converged);
}

void eval_qr(QR&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array a = columns_copy(inputs[0]);
  for (array& out : outputs) {
    allocate_columns(out);
  }
  if (a.size() > 0) {
    with_matrix_type(a.dtype(),
                     [&](auto t) { factor_all<decltype(t)>(a, outputs[0], outputs[1]); });
  }
}

const Register<QR> qr(eval_qr);

}  // namespace

}  // namespace mlx::core::cpu
