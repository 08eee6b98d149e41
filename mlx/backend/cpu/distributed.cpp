// Communication on the CPU: the group gets its data in row-major order.
#include "mlx/primitives/distributed.h"

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/registry.h"

namespace mlx::core::cpu {

namespace {

using namespace distributed;

array& allocated(std::vector<array>& outputs) {
  outputs[0].set_data(allocator::malloc(outputs[0].nbytes()));
  return outputs[0];
}

void eval_all_reduce(AllReduce& primitive, const std::vector<array>& inputs,
                     std::vector<array>& outputs) {
  const auto& spec = primitive.spec();
  spec.group->all_reduce(spec.reduction, contiguous(inputs[0]), allocated(outputs));
}

void eval_all_gather(AllGather& primitive, const std::vector<array>& inputs,
                     std::vector<array>& outputs) {
  primitive.group().all_gather(contiguous(inputs[0]), allocated(outputs));
}

void eval_sum_scatter(SumScatter& primitive, const std::vector<array>& inputs,
                      std::vector<array>& outputs) {
  primitive.group().sum_scatter(contiguous(inputs[0]), allocated(outputs));
}

void eval_send(Send& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  primitive.group().send(contiguous(inputs[0]), primitive.peer());
  outputs[0].copy_shared_buffer(inputs[0]);
}

void eval_recv(Recv& primitive, const std::vector<array>&, std::vector<array>& outputs) {
  primitive.group().recv(allocated(outputs), primitive.peer());
}

const Register<AllReduce> all_reduce(eval_all_reduce);
const Register<AllGather> all_gather(eval_all_gather);
const Register<SumScatter> sum_scatter(eval_sum_scatter);
const Register<Send> send(eval_send);
const Register<Recv> recv(eval_recv);

}  // namespace

}  // namespace mlx::core::cpu
