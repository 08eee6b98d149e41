// Plans of cuDNN, kept by what they were made for, and running them.
#pragma once

#include "mlx/backend/cuda/dnn_library.h"

#if __has_include(<cudnn_graph.h>)
#include <bit>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "mlx/stream.h"

namespace mlx::core::cuda {

/** What the tensors of a graph are, by their numbers. */
class DnnArguments {
 public:
  /** An address on the device. */
  void memory(int64_t id, const void* at) {
    add(id, at);
    call_values.push_back(reinterpret_cast<uint64_t>(at));
  }
  /** A number of four bytes, which comes by value; it has to last until the plan runs. */
  template <typename T>
  void number(int64_t id, const T& value) {
    static_assert(sizeof(T) == sizeof(uint32_t));
    add(id, &value);
    call_values.push_back(std::bit_cast<uint32_t>(value));
  }

  std::vector<int64_t> ids;
  std::vector<const void*> data;
  std::vector<uint64_t> call_values;  // what tells calls of one plan apart

 private:
  void add(int64_t id, const void* at) {
    ids.push_back(id);
    data.push_back(at);
  }
};

class DnnPlans {
 public:
  using Key = std::vector<int64_t>;

  explicit DnnPlans(size_t most) : most_(most) {}

  /** Queues the plan for `key`, which `make` makes if it is not there yet. False where the library
   * is not there or has no plan. A full store is emptied. */
  bool run(const Key& key, const std::function<DnnPlan()>& make, const DnnArguments& arguments,
           const Stream& s);

 private:
  DnnPlan* find(const Key& key, const std::function<DnnPlan()>& make);

  size_t most_;
  std::map<Key, std::unique_ptr<DnnPlan>> plans_;  // null where there is no way
};

}  // namespace mlx::core::cuda

#endif
