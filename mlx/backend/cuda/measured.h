// Choices between two ways that only time can tell, measured once and kept with compiled kernels.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "mlx/stream.h"

namespace mlx::core::cuda {

class MeasuredChoice {
 public:
  using Work = std::function<void()>;

  /** `name` tells it from other choices on disk. */
  explicit MeasuredChoice(std::string name) : name_(std::move(name)) {}

  /**
   * Whether `one` takes less time on the stream than `other`, both of which queue work and may be
   * called several times. `facts` are what the choice depends on beside the device. Measured at the
   * first call, which waits for some milliseconds, and kept on disk; never, and false, with
   * MLX_MEASURE_KERNELS=0.
   */
  bool is_faster(std::vector<int64_t> facts, const Stream& s, const Work& one, const Work& other);

 private:
  bool find_or_measure(const std::vector<int64_t>& facts, const Stream& s, const Work& one,
                       const Work& other) const;

  std::string name_;
  std::mutex mutex_;
  std::map<std::vector<int64_t>, bool> known_;
};

}  // namespace mlx::core::cuda
