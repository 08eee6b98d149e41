// The text around one call.
#include "mlx/backend/cuda/kernel_call.h"

#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/core/hash.h"

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
         "(const __grid_constant__ " + call.parameters + " p) { let_next_start(); " +
         (call.ahead.empty() ? "" : "mlx::core::kernels::" + call.ahead + "(p); ") +
         (call.awaits_earlier ? "" : "await_earlier(); ") + "mlx::core::kernels::" + call.function +
         "(p); }\n";
}

Kernel kernel_of(const KernelCall& call, const Stream& s) {
  return kernel_of(call.function, name_of(call).c_str(), s, [&] { return source_of(call); });
}

void foresee_kernel(const KernelCall& call, const Stream& s) noexcept {
  foresee_kernel(call.function, s, [&] { return source_of(call); });
}

size_t KernelTable::Hash::operator()(const Key& key) const {
  size_t hash = 0;
  for (int64_t number : key) {
    hash = hash_combine(hash, static_cast<size_t>(number));
  }
  return hash;
}

KernelTable::Key KernelTable::key_of(std::initializer_list<int64_t> numbers) {
  Key key{};
  internal_check(numbers.size() <= key.size(), "a kernel is chosen by too many numbers");
  std::copy(numbers.begin(), numbers.end(), key.begin());
  return key;
}

}  // namespace mlx::core::cuda
