// Transforms of one long row: as the columns and rows of a matrix, which fill the vectors and all
// threads and stay in caches.
#pragma once

#include <complex>
#include <cstdint>
#include <memory>

#include "mlx/backend/cpu/fft.h"

namespace mlx::core::cpu {

/** A row of `length` complex numbers, or of real ones by the kind. Strides are in elements. */
struct FftRow {
  const void* in;
  int64_t in_stride, in_length;
  bool in_double;
  void* out;
  int64_t out_stride;
  bool out_double;
  FftKind kind;
  bool inverse;
  double scale;
  int64_t length;
  int64_t in_ahead, out_ahead;  // how far on the next row lies; or 0
};

template <typename T>
struct FftSplit;
struct FftChirp;

/** The transform of rows of one length, computed in T; lengths with a large prime factor only in
 *  double. */
template <typename T>
class FftLong {
 public:
  explicit FftLong(int64_t length);
  /** Inside parallel_for in the calling thread, else on all of them. */
  void run(const FftRow& row) const;

 private:
  std::shared_ptr<const FftSplit<T>> split_;
  std::shared_ptr<const FftChirp> chirp_;  // instead
};

/** The forward transform of dense rows; n has no large prime factor. */
void fft_long_row(const std::complex<double>* in, std::complex<double>* out, int64_t n);

}  // namespace mlx::core::cpu
