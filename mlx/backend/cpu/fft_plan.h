// Plans of Fourier transforms: factors, twiddles and chirps of one length, kept for reuse.
#pragma once

#include <complex>
#include <memory>
#include <vector>

#include "mlx/backend/cpu/fft.h"

namespace mlx::core::cpu {

/** What an FftProgram points to. */
template <typename T>
class FftPlan {
 public:
  /** For complex rows of length n, and real ones of length 2n. */
  explicit FftPlan(int64_t n);
  const FftProgram<T>& program() const { return program_; }

 private:
  void add_stages();
  void add_chirp();

  FftProgram<T> program_{};
  std::vector<FftStage<T>> stages_;
  std::vector<std::vector<T>> tables_;
};

/** The tables of FftRoots. */
class FftRootTable {
 public:
  explicit FftRootTable(int64_t n);
  FftRoots roots() const { return {n_, shift_, coarse_.data(), fine_.data()}; }
  /** exp(-2 pi i k / n) for 0 <= k < n. */
  std::complex<double> operator()(int64_t k) const;

 private:
  int64_t n_;
  int shift_;
  std::vector<double> coarse_, fine_;
};

/** What FftHalf needs of the roots of order 2n. */
template <typename T>
struct FftHalfTable {
  explicit FftHalfTable(int64_t n);

  FftRootTable roots;
  std::vector<T> lanes;
};

/** A transform of length n as those of the columns of a rows x columns matrix, factors in between,
 *  and those of its rows, whose results lie in columns. */
template <typename T>
struct FftSplit {
  explicit FftSplit(int64_t n);

  int64_t n, rows, columns;
  std::shared_ptr<const FftPlan<T>> column_plan, row_plan;
  FftRootTable roots;
  std::vector<T> lanes;  // FftTwist::lanes, for each group of columns or the first
  bool every_group;

  FftTwist twist(int64_t column) const;
  FftHalfTable<T> half;
};

/** The convolution by which a length n with a large prime factor is transformed. */
struct FftChirp {
  explicit FftChirp(int64_t n);

  int64_t n, inner;
  std::vector<std::complex<double>> chirp;   // [n]
  std::vector<std::complex<double>> filter;  // [inner], divided by inner
  FftHalfTable<double> half;
};

/** The plan for length n, made on first use. */
template <typename T>
std::shared_ptr<const FftPlan<T>> fft_plan(int64_t n);
template <typename T>
std::shared_ptr<const FftSplit<T>> fft_split(int64_t n);
std::shared_ptr<const FftChirp> fft_chirp(int64_t n);

/** The number of rows that FftSplit has for a length: the largest divisor up to its root. */
int64_t fft_split_rows(int64_t n);

/** Whether n has a prime factor that is no butterfly; such rows are computed in double. */
bool fft_needs_convolution(int64_t n);

}  // namespace mlx::core::cpu
