// The contract of a device backend other than the CPU. It lives in a library of its own that is
// loaded when the machine has the device, so one build serves machines with and without it.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "mlx/array.h"
#include "mlx/device.h"
#include "mlx/primitives.h"

namespace mlx::core {

class Backend {
 public:
  virtual ~Backend() = default;

  virtual int device_count() = 0;
  virtual const std::unordered_map<std::string, std::variant<std::string, size_t>>& device_info(
      int index) = 0;

  /** Runs a primitive on its stream; throws std::invalid_argument if the backend lacks it. */
  virtual void eval(Primitive& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) = 0;
};

/** The GPU backend, loaded on first use; nullptr where there is none. */
Backend* gpu_backend();

/** Why a device cannot be used, as a sentence. */
std::string unavailable_reason(const Device& d);

}  // namespace mlx::core
