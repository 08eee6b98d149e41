// Finding device backends at run time.
#include "mlx/backend/backend.h"

#include "mlx/core/errors.h"
#include "mlx/utils.h"

namespace mlx::core {

Backend* gpu_backend() { return nullptr; }

std::string unavailable_reason(const Device& d) {
  if (d.type == Device::gpu && !gpu_backend()) {
    return "this build has no GPU backend.";
  }
  return "there is no device with index " + std::to_string(d.index) + ".";
}

void BuiltinPrimitive::eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  auto* backend = gpu_backend();
  check(backend != nullptr, name(), "Cannot run on a GPU: ", unavailable_reason(Device::gpu));
  backend->eval(*this, inputs, outputs);
}

}  // namespace mlx::core
