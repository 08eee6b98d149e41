// The text around one call.
#include "mlx/backend/cuda/kernel_call.h"

namespace mlx::core::cuda {

namespace {

/** The kernel is called as the function is, for profilers. */
std::string name_of(const KernelCall& call) {
  return call.function.substr(0, call.function.find('<'));
}

}  // namespace

std::string source_of(const KernelCall& call) {
  return std::string("#include \"mlx/backend/cuda/kernels/") + call.header +
         "\"\nusing namespace mlx::core::kernels;\nextern \"C\" __global__ void "
         "__launch_bounds__(" +
         std::to_string(call.threads) + ", " + std::to_string(call.blocks) + ") " + name_of(call) +
         "(const __grid_constant__ " + call.parameters +
         " p) { mlx::core::kernels::" + call.function + "(p); }\n";
}

Kernel kernel_of(const KernelCall& call, const Stream& s) {
  return kernel_of(call.function, name_of(call).c_str(), s, [&] { return source_of(call); });
}

}  // namespace mlx::core::cuda
