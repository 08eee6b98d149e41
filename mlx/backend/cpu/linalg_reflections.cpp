// Blocks of reflectors with their zeros and ones written out, so that everything is a product.
#include "mlx/backend/cpu/linalg_reflections.h"

#include <algorithm>
#include <complex>

#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int block = 64;

template <typename T>
T conjugate(T x) {
  if constexpr (Lapack<T>::complex) {
    return std::conj(x);
  } else {
    return x;
  }
}

/** c = alpha op(a) b + beta c, where op is the adjoint or nothing. */
template <typename T>
void multiply(bool adjoint, int m, int n, int k, T alpha, const T* a, int lda, const T* b, int ldb,
              T beta, T* c, int ldc) {
  Lapack<T>::instance().gemm(adjoint ? "C" : "N", "N", &m, &n, &k, &alpha, a, &lda, b, &ldb, &beta,
                             c, &ldc, 1, 1);
}

}  // namespace

template <typename T>
Reflections<T>::Reflections(const ReflectorVectors<T>& vectors, const T* tau)
    : from_(vectors), vectors_((vectors.count + block - 1) / block), triangles_(vectors_.size()) {
  parallel_for(static_cast<int64_t>(vectors_.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      form(static_cast<int>(i), tau);
    }
  });
}

template <typename T>
int Reflections<T>::height_of(int i) const {
  return from_.rows - from_.offset - i * block;
}

template <typename T>
int Reflections<T>::width_of(int i) const {
  return std::min(block, from_.count - i * block);
}

template <typename T>
void Reflections<T>::form(int i, const T* tau) {
  int height = height_of(i), width = width_of(i), column = i * block, row = column + from_.offset;
  std::vector<T>& v = vectors_[i];
  v.assign(int64_t{height} * width, T{});
  for (int64_t j = 0; j < width; j++) {
    v[j * height + j] = 1;
    const T* data = from_.data + (column + j) * from_.vector_step;
    for (int64_t r = j + 1; r < height; r++) {
      T x = data[(row + r) * from_.element_step];
      v[j * height + r] = from_.conjugate ? conjugate(x) : x;
    }
  }
  std::vector<T> products(width * width);
  multiply<T>(true, width, width, height, 1, v.data(), height, v.data(), height, 0, products.data(),
              width);
  std::vector<T>& t = triangles_[i];
  t.assign(width * width, T{});
  for (int j = 0; j < width; j++) {
    t[j * width + j] = tau[column + j];
    for (int r = 0; r < j; r++) {
      T sum{};
      for (int k = r; k < j; k++) {
        sum += t[k * width + r] * products[j * width + k];
      }
      t[j * width + r] = -tau[column + j] * sum;
    }
  }
}

template <typename T>
void Reflections<T>::apply(T* c, int stride, int columns) const {
  Scratch scratch(2 * sizeof(T) * block * columns);
  T *seen = scratch.template as<T>(), *turned = seen + int64_t{block} * columns;
  for (int i = static_cast<int>(vectors_.size()) - 1; i >= 0; i--) {
    int height = height_of(i), width = width_of(i);
    const T* v = vectors_[i].data();
    T* rows = c + from_.offset + i * block;
    multiply<T>(true, width, columns, height, 1, v, height, rows, stride, 0, seen, width);
    multiply<T>(false, width, columns, width, 1, triangles_[i].data(), width, seen, width, 0,
                turned, width);
    multiply<T>(false, height, columns, width, -1, v, height, turned, width, 1, rows, stride);
  }
}

template class Reflections<float>;
template class Reflections<double>;
template class Reflections<std::complex<float>>;
template class Reflections<std::complex<double>>;

}  // namespace mlx::core::cpu
