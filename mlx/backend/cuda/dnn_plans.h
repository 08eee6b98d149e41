// Plans of cuDNN, kept by what they were made for, and running them.
#pragma once

#include "mlx/backend/cuda/dnn_library.h"

#if __has_include(<cudnn_graph.h>)
#include <functional>
#include <map>
#include <memory>

#include "mlx/stream.h"

namespace mlx::core::cuda {

class DnnPlans {
 public:
  using Key = std::vector<int64_t>;

  explicit DnnPlans(size_t most) : most_(most) {}

  /** Queues the plan for `key`, which `make` makes if it is not there yet, with what the tensors of
   *  these numbers are: addresses on the device, or on the host of numbers that come by value.
   *  False where the library is not there or has no plan. A full store is emptied. */
  bool run(const Key& key, const std::function<DnnPlan()>& make, const std::vector<int64_t>& ids,
           const std::vector<const void*>& data, const Stream& s);

 private:
  const DnnPlan* find(const Key& key, const std::function<DnnPlan()>& make);

  size_t most_;
  std::map<Key, std::unique_ptr<DnnPlan>> plans_;  // null where there is no way
};

}  // namespace mlx::core::cuda

#endif
