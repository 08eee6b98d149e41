// What comes before and after a library's Fourier transform of rows: other types and lengths, and
// the scale.
#pragma once

#include "mlx/backend/cuda/kernels/fft_call.h"
#include "mlx/backend/cuda/kernels/walk.h"
#include "mlx/kernels/reduce.h"

namespace mlx::core::kernels {

template <typename To, typename From>
MLX_FN To scaled(From x, double scale) {
  if constexpr (is_complex<To>) {
    using Part = RealOf<To>;
    if constexpr (is_complex<From>) {
      return {static_cast<Part>(x.re * scale), static_cast<Part>(x.im * scale)};
    } else {
      return {static_cast<Part>(x * scale), 0};
    }
  } else if constexpr (is_complex<From>) {
    return static_cast<To>(x.re * scale);
  } else {
    return static_cast<To>(x * scale);
  }
}

/** The row whose numbers are conjugates of those of `row` if the result is real. */
MLX_FN int64_t mirrored_row(const SpectrumRows& p, int64_t row) {
  int64_t inner = row % p.outer[1], rest = row / p.outer[1];
  int64_t middle = rest % p.outer[0], first = rest - middle;
  middle = middle ? p.outer[0] - middle : 0;
  inner = inner ? p.outer[1] - inner : 0;
  return (first + middle) * p.outer[1] + inner;
}

/** Converts each row, cut off or with zeros behind it. Numbers of half a spectrum whose mirror
 *  images are in the same half count as the mean with those: the result is real. */
template <typename From, typename To>
MLX_FN void convert_rows(const SpectrumRows& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.rows * p.out_length) return;
  int64_t row = i / p.out_length, k = i - row * p.out_length;
  To result{};
  if (k < p.in_length) {
    const From* in = static_cast<const From*>(p.in);
    From x = in[row * p.in_length + k];
    if constexpr (is_complex<From>) {
      if (p.half_of > 0 && (k == 0 || 2 * k == p.half_of)) {
        int64_t mirror = mirrored_row(p, row);
        From y = in[mirror * p.in_length + k];
        x = mirror == row ? From{x.re, 0} : From{(x.re + y.re) / 2, (x.im - y.im) / 2};
      }
    }
    result = scaled<To>(x, p.scale);
  }
  static_cast<To*>(p.out)[i] = result;
}

}  // namespace mlx::core::kernels
