// One-dimensional Fourier transforms of many rows at once: the plan that both sides share, and the
// table of kernels. A kernel puts one row into each lane of its vectors, so that every radix is
// plain arithmetic on vectors. Rows next to each other in memory are loaded as they lie; others are
// transposed in registers.
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

/** All roots of unity of one order as products of two tables in double, which stay in a cache. */
struct FftRoots {
  int64_t n;
  int shift;
  const double* coarse;  // pairs: exp(-2 pi i (m << shift) / n)
  const double* fine;    // pairs: exp(-2 pi i m / n) for m below 1 << shift
};

/** What columns of a matrix are multiplied with between two transforms: number k of lane l with
 *  exp(-2 pi i k (column + l) / n). */
struct FftTwist {
  FftRoots roots;
  int64_t column;     // 0 if `lanes` is for these columns
  const void* lanes;  // for each k the vectors of real and of imaginary parts, else for column 0
};

enum class FftKind {
  complex_to_complex,
  real_to_complex,  // complex output of the full length
  real_to_half,     // real rows of even length 2n to n + 1 numbers
  real_to_half_odd,
  half_to_real,  // the reverse: rows of length 2n
  half_to_real_odd,
};

/** Where rows start: at first + l step, or at offsets[l]. */
struct FftPlaces {
  int64_t first, step;
  const int64_t* offsets;  // or null

  int64_t operator[](int l) const { return offsets ? offsets[l] : first + l * step; }
};

/** Up to `lanes` rows. Offsets and strides are in elements (numbers, real or complex). The inverse
 *  transform is the forward one with real and imaginary parts exchanged on both ends. */
struct FftRows {
  const void* in;
  void* out;
  FftPlaces in_places, out_places;
  int lanes;
  int64_t in_stride;
  int64_t out_stride;
  int64_t in_length;            // elements from there on count as zero
  int64_t in_ahead, out_ahead;  // how far on the next rows lie, which caches may be told; or 0
  FftKind kind;
  bool in_double, out_double;  // what lies in memory, else float
  bool swap_in, swap_out;      // parts of complex numbers
  double scale;
  void* scratch;          // 2 (inner_n + 1) complex vectors, 64-byte aligned
  const FftTwist* twist;  // of complex output; or null
};

/** Half of a spectrum and the transform of n pairs of numbers, both dense. */
struct FftHalf {
  FftRoots roots;     // of order 2n
  const void* lanes;  // vectors of real and of imaginary parts of the first roots
  int64_t n;
  const void* in;
  void* out;
  bool in_double, out_double;
  double scale;
};

template <typename T>
struct FftKernelsOf {
  int lanes;
  void (*rows)(const FftProgram<T>& program, const FftRows& rows);
  /** Numbers [begin, end) of n + 1 of the half spectrum of 2n real numbers, from the transform of
   *  their pairs. */
  void (*split_half)(const FftHalf& half, int64_t begin, int64_t end);
  /** The reverse, backwards: numbers [begin, end) of n, with exchanged parts for the inverse. */
  void (*combine_half)(const FftHalf& half, int64_t begin, int64_t end);
};

struct FftKernels {
  FftKernelsOf<float> in_float;
  FftKernelsOf<double> in_double;

  template <typename T>
  const FftKernelsOf<T>& of() const {
    if constexpr (sizeof(T) == sizeof(float)) {
      return in_float;
    } else {
      return in_double;
    }
  }
};

MLX_ISA_TABLE(FftKernels, fft_kernels)

}  // namespace mlx::core::cpu
