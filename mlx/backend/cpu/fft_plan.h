// Plans of Fourier transforms: factors, twiddles and chirps of one length, kept for reuse.
#pragma once

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

/** The plan for length n, made on first use. */
template <typename T>
std::shared_ptr<const FftPlan<T>> fft_plan(int64_t n);

/** Whether n has a prime factor that is no butterfly; such rows are computed in double. */
bool fft_needs_convolution(int64_t n);

}  // namespace mlx::core::cpu
