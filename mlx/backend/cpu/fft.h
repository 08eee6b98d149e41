// One-dimensional Fourier transforms of many rows at once: the plan that both sides share, and the
// table of kernels. A kernel puts one row into each lane of its vectors, so that every radix is
// plain arithmetic on vectors.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

/** Odd primes up to this are butterflies of their own; larger ones go through Bluestein. */
inline constexpr int max_fft_radix = 61;

/** A Stockham pass: out[i + ido (k + l1 j)] = w^(i j) DFT_radix(in[i + ido (. + radix k)])[j]. */
template <typename T>
struct FftStage {
  int radix;
  int64_t l1;
  int64_t ido;
  const T* twiddles;  // pairs, [ido][radix - 1]; j from 1
  const T* roots;     // pairs, [radix]: cos and sin of 2 pi m / radix
};

/** The forward transform of length n. */
template <typename T>
struct FftProgram {
  int64_t n;
  int64_t inner_n;  // what the stages transform: n, or more for Bluestein's convolution
  int stage_count;
  const FftStage<T>* stages;
  const T* chirp;          // Bluestein: pairs, [n], exp(-i pi j^2 / n); otherwise null
  const T* chirp_filter;   // Bluestein: pairs, [inner_n], transform of the chirp / inner_n
  const T* half_twiddles;  // pairs, [n + 1], exp(-i pi k / n), for real rows of length 2n
};

enum class FftKind {
  complex_to_complex,
  real_to_complex,  // complex output of the full length
  real_to_half,     // real rows of even length 2n to n + 1 numbers
  real_to_half_odd,
  half_to_real,  // the reverse: rows of length 2n
  half_to_real_odd,
};

/** Up to `lanes` rows. Offsets and strides are in elements (numbers, real or complex). */
struct FftRows {
  const void* in;
  void* out;
  const int64_t* in_offsets;
  const int64_t* out_offsets;
  int lanes;
  int64_t in_stride;
  int64_t out_stride;
  int64_t in_length;  // elements from there on count as zero
  FftKind kind;
  bool inverse;
  double scale;
  void* scratch;  // 2 (inner_n + 1) complex vectors, 64-byte aligned
};

/** Kernels take `wide` for rows in vector lanes, or a single row. */
struct FftKernels {
  int float_lanes;
  int double_lanes;
  void (*from_float)(const FftProgram<float>& program, const FftRows& rows, bool wide);
  void (*from_float_in_double)(const FftProgram<double>& program, const FftRows& rows, bool wide);
  void (*from_double)(const FftProgram<double>& program, const FftRows& rows, bool wide);
};

MLX_ISA_TABLE(FftKernels, fft_kernels)

}  // namespace mlx::core::cpu
