// arange on the GPU, and nodes whose result the host has at hand.
#include "mlx/backend/cuda/creation.h"

#include "mlx/backend/cuda/kernels/creation_call.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/primitives/arange.h"
#include "mlx/primitives/layout.h"
#include "mlx/primitives/load.h"

namespace mlx::core::cuda {

namespace {

constexpr int threads = 256;

uint64_t truncated(double x) {
  return static_cast<uint64_t>(x >= 0x1p63    ? INT64_MAX
                               : x >= -0x1p63 ? static_cast<int64_t>(x)
                                              : INT64_MIN);
}

void eval_arange(Arange& primitive, const std::vector<array>&, std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  allocate_output(out, s);
  auto count = static_cast<int64_t>(out.size());
  double start = primitive.start(), step = primitive.step();
  kernels::Counting call{
      count, start, step, truncated(start), truncated(step), output_address(out)};
  launch(kernel_of(counting_call(out.dtype()), s), blocks_for(count, threads), threads, s, call);
}

/** Results that come from files or shapes are made by the host and go to the device with use. */
template <typename P>
void eval_on_host(P& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  primitive.eval_cpu(inputs, outputs);
}

const Register<Arange> arange(eval_arange);
const Register<Load> load(eval_on_host<Load>);
const Register<NumberOfElements> number_of_elements(eval_on_host<NumberOfElements>);

}  // namespace

KernelCall counting_call(Dtype dtype) {
  return {"creation.h", "Counting", std::string("count_up<") + type_name(dtype) + ">", threads};
}

}  // namespace mlx::core::cuda
