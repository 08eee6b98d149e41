// A default device or stream that lasts as long as a Python `with` block.
#pragma once

#include <memory>
#include <vector>

#include "python/src/bindings.h"

namespace mlx::python {

/** Entered and left by `with`, also again and nested in itself. */
class StreamScope {
 public:
  explicit StreamScope(StreamOrDevice target) : target_(std::move(target)) {}
  void enter() { entered_.push_back(std::make_shared<StreamContext>(target_)); }
  void leave() {
    if (!entered_.empty()) {
      entered_.pop_back();
    }
  }

 private:
  StreamOrDevice target_;
  std::vector<std::shared_ptr<StreamContext>> entered_;
};

}  // namespace mlx::python
