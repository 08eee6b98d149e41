// Batch normalisation with channels side by side in vectors: a block of channels at a time, over
// all rows.
#include "mlx/backend/cpu/batch_norm_kernels.h"

#include <type_traits>

#include "mlx/backend/cpu/gemm/take.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

constexpr int kVectors = 4;  // of a block of channels, or rows that a narrow block takes together

// Calls f(first channel, number of a partial vector's channels) for blocks of kVectors vectors, of
// one, and of a part of one.
template <typename T, typename F>
static inline void for_blocks(int64_t channels, F&& f) {
  constexpr int lanes = kLanes<T>;
  int64_t c = 0;
  for (; c + kVectors * lanes <= channels; c += kVectors * lanes) {
    f(std::integral_constant<int, kVectors>{}, std::true_type{}, c, lanes);
  }
  for (; c + lanes <= channels; c += lanes) {
    f(std::integral_constant<int, 1>{}, std::true_type{}, c, lanes);
  }
  if (c < channels) {
    f(std::integral_constant<int, 1>{}, std::false_type{}, c, static_cast<int>(channels - c));
  }
}

// Two sums for each channel of a block over all rows, of what `terms` gives for the element at an
// offset: kVectors of each in flight.
template <typename T, int Vectors, bool Full, typename Terms>
static inline void sum_rows(int64_t rows, int64_t channels, int n, T* first, T* second,
                            Terms&& terms) {
  using E = Element<T>;
  constexpr int lanes = kLanes<T>, together = kVectors / Vectors;
  Vec<T> a[together][Vectors] = {}, b[together][Vectors] = {};
  int64_t row = 0;
  for (; row + together <= rows; row += together) {
#pragma GCC unroll 4
    for (int r = 0; r < together; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) terms((row + r) * channels, v, a[r][v], b[r][v]);
    }
  }
  for (; row < rows; ++row) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) terms(row * channels, v, a[0][v], b[0][v]);
  }
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; ++v) {
#pragma GCC unroll 4
    for (int r = 1; r < together; ++r) {
      a[0][v] += a[r][v];
      b[0][v] += b[r][v];
    }
    put<E, Full>(first + v * lanes, a[0][v], n);
    put<E, Full>(second + v * lanes, b[0][v], n);
  }
}

template <typename T, bool Full, int Vectors>
static inline void take_all(const T* p, int n, Vec<T> (&to)[Vectors]) {
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; ++v) to[v] = take<Element<T>, Full>(p + v * kLanes<T>, n);
}

template <typename T>
static void moments(const T* x, int64_t rows, int64_t channels, T* sums, T* squares) {
  for_blocks<T>(channels, [&]<int V, bool Full>(std::integral_constant<int, V>,
                                                std::bool_constant<Full>, int64_t c, int n) {
    Vec<T> first[V];
    take_all<T, Full>(x + c, n, first);
    sum_rows<T, V, Full>(rows, channels, n, sums + c, squares + c,
                         [&](int64_t at, int v, Vec<T>& sum, Vec<T>& square) {
                           const T* p = x + at + c + v * kLanes<T>;
                           Vec<T> d = take<Element<T>, Full>(p, n) - first[v];
                           sum += d;
                           square = fma<T>(d, d, square);
                         });
  });
}

template <typename T>
static void products(const T* x, const T* mean, const T* y, int64_t rows, int64_t channels, T* sums,
                     T* products) {
  for_blocks<T>(channels, [&]<int V, bool Full>(std::integral_constant<int, V>,
                                                std::bool_constant<Full>, int64_t c, int n) {
    Vec<T> centre[V];
    take_all<T, Full>(mean + c, n, centre);
    sum_rows<T, V, Full>(rows, channels, n, sums + c, products + c,
                         [&](int64_t at, int v, Vec<T>& sum, Vec<T>& product) {
                           int64_t i = at + c + v * kLanes<T>;
                           Vec<T> g = take<Element<T>, Full>(y + i, n);
                           sum += g;
                           product =
                               fma<T>(take<Element<T>, Full>(x + i, n) - centre[v], g, product);
                         });
  });
}

template <typename T>
static void normalise(const T* x, const T* mean, const T* scale, const T* shift, int64_t rows,
                      int64_t channels, T* out) {
  for_blocks<T>(channels, [&]<int V, bool Full>(std::integral_constant<int, V>,
                                                std::bool_constant<Full>, int64_t c, int n) {
    Vec<T> centre[V], factor[V], term[V];
    take_all<T, Full>(mean + c, n, centre);
    take_all<T, Full>(scale + c, n, factor);
    take_all<T, Full>(shift + c, n, term);
    for (int64_t row = 0; row < rows; ++row) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        int64_t i = row * channels + c + v * kLanes<T>;
        Vec<T> d = take<Element<T>, Full>(x + i, n) - centre[v];
        put<Element<T>, Full>(out + i, fma<T>(d, factor[v], term[v]), n);
      }
    }
  });
}

template <typename T>
static void gradient(const T* x, const T* mean, const T* y, const T* scale, const T* slope,
                     const T* shift, int64_t rows, int64_t channels, T* out) {
  for_blocks<T>(channels, [&]<int V, bool Full>(std::integral_constant<int, V>,
                                                std::bool_constant<Full>, int64_t c, int n) {
    Vec<T> centre[V], factor[V], inclination[V], term[V];
    take_all<T, Full>(mean + c, n, centre);
    take_all<T, Full>(scale + c, n, factor);
    take_all<T, Full>(slope + c, n, inclination);
    take_all<T, Full>(shift + c, n, term);
    for (int64_t row = 0; row < rows; ++row) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        int64_t i = row * channels + c + v * kLanes<T>;
        Vec<T> d = take<Element<T>, Full>(x + i, n) - centre[v];
        Vec<T> through = fma<T>(d, inclination[v], term[v]);
        put<Element<T>, Full>(out + i, fma<T>(take<Element<T>, Full>(y + i, n), factor[v], through),
                              n);
      }
    }
  });
}

template <typename T>
static constexpr BatchNormKernel<T> batch_norm_kernel = {moments<T>, normalise<T>, products<T>,
                                                         gradient<T>};

}  // namespace simd

const BatchNormTable& batch_norm_table() {
  static constexpr BatchNormTable table = {simd::batch_norm_kernel<float>,
                                           simd::batch_norm_kernel<double>};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
