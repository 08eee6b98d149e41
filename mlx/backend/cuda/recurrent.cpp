// Recurrent layers on the GPU: one kernel for all steps where a cluster holds the weight, else one
// for each step.
#include "mlx/backend/cuda/recurrent.h"

#include <algorithm>

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/recurrent_call.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/core/errors.h"

namespace mlx::core::cuda {

namespace {

using kernels::RecurrentCall;

constexpr int threads = 256;

RecurrentDevice device_of(const Stream& s) {
  const DeviceFacts& facts = device_facts(s.device.index);
  int bytes = 0;
  check_cuda(
      [&] {
        return cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin,
                                      s.device.index);
      },
      "asking for shared memory");
  return {facts.multiprocessors, bytes, facts.major >= 9};
}

/** How a layer runs: its kernel, and the steps that one kernel does. */
class Runner {
 public:
  Runner(const char* function, RecurrentSpec::Kind kind, const RecurrentSizes& sizes,
         const Stream& s)
      : plan_(plan_recurrent(sizes, device_of(s))), s_(s) {
    check(plan_.rows > 0, OpScope::current(), "a unit of ", sizes.depth * sizes.vectors,
          " weights of ", dtype_name(sizes.dtype), " is too large for the GPU's shared memory.");
    kernel_ =
        kernel_of(recurrent_call(function, kind, sizes.dtype, plan_.rows, plan_.clustered), s);
    if (plan_.shared_bytes > (48 << 10)) {
      check_cuda(
          [&] {
            return cudaFuncSetAttribute(kernel_, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                        static_cast<int>(plan_.shared_bytes));
          },
          "asking for shared memory");
    }
  }

  bool clustered() const { return plan_.clustered; }

  void run(RecurrentCall& call, int64_t begin, int64_t end) const {
    call.begin = begin;
    call.end = end;
    call.units_per_block = plan_.units_per_block;
    call.stride = plan_.stride;
    dim3 grid(plan_.blocks, blocks_for(call.rows, plan_.rows));
    launch(kernel_, grid, threads, s_, call, plan_.shared_bytes,
           plan_.clustered ? plan_.blocks : 0);
  }

 private:
  RecurrentPlan plan_;
  Stream s_;
  Kernel kernel_;
};

RecurrentCall call_of(const array& states) {
  RecurrentCall call{};
  call.units = states.shape(-1);
  call.length = states.shape(-2);
  call.rows = 1;
  for (size_t i = 0; i + 2 < states.ndim(); i++) call.rows *= states.shape(static_cast<int>(i));
  return call;
}

std::vector<array> dense_inputs(const std::vector<array>& inputs, const Stream& s) {
  std::vector<array> dense;
  for (const auto& in : inputs) dense.push_back(contiguous(in, s));
  return dense;
}

/** Addresses of the inputs that forward and backward have in common. */
void add_inputs(RecurrentCall& call, const RecurrentBackward::Inputs& at,
                const std::vector<array>& inputs, const Stream& s) {
  auto address = [&](int i) { return i < 0 ? nullptr : input_address(inputs[i], s); };
  call.weight = address(at.weight);
  call.bias = address(at.bias);
  call.hidden = address(at.hidden);
  call.cell = address(at.cell);
}

void eval_recurrent(Recurrent& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  const RecurrentSpec& spec = primitive.spec();
  const Stream& s = primitive.stream();
  bool unread = primitive.leave_unread(outputs);
  for (size_t i = 0; i + unread < outputs.size(); i++) {
    allocate_output(outputs[i], s);
  }
  if (outputs[0].size() == 0) {
    return;
  }
  auto dense = dense_inputs(inputs, s);
  RecurrentCall call = call_of(outputs[0]);
  add_inputs(call, RecurrentBackward::inputs_of(spec), dense, s);
  call.projections = input_address(dense[0], s);
  call.hiddens = output_address(outputs[0]);
  if (spec.has_cells()) call.cells = output_address(outputs[1]);
  if (spec.kept() > 0 && !unread) call.kept = output_address(outputs.back());
  RecurrentSizes sizes{inputs[0].dtype(), call.rows, call.units, call.units, spec.gates()};
  Runner runner("recurrent_forward", spec.kind, sizes, s);
  if (runner.clustered()) return runner.run(call, 0, call.length);
  for (int64_t t = 0; t < call.length; t++) runner.run(call, t, t + 1);
}

void eval_recurrent_backward(RecurrentBackward& primitive, const std::vector<array>& inputs,
                             std::vector<array>& outputs) {
  const RecurrentSpec& spec = primitive.spec();
  const Stream& s = primitive.stream();
  for (auto& out : outputs) {
    allocate_output(out, s);
  }
  auto at = RecurrentBackward::inputs_of(spec);
  RecurrentCall call = call_of(inputs[at.hiddens]);
  if (call.rows * call.units == 0) {
    return;
  }
  auto dense = dense_inputs(inputs, s);
  auto address = [&](int i) {
    return i < 0 ? nullptr : const_cast<void*>(input_address(dense[i], s));
  };
  add_inputs(call, at, dense, s);
  call.hidden_cotangent = address(at.hidden_cotangent);
  call.cell_cotangent = address(at.cell_cotangent);
  call.hiddens = address(at.hiddens);
  call.cells = address(at.cells);
  call.kept = address(at.kept);
  size_t next = 0;
  call.projections_grad = output_address(outputs[next++]);
  if (spec.kind == RecurrentSpec::Gru) call.recurrent_grad = output_address(outputs[next++]);
  if (spec.has_hidden) call.hidden_grad = output_address(outputs[next++]);
  if (spec.has_cell) call.cell_grad = output_address(outputs[next++]);
  size_t wide = std::max<size_t>(sizeof(float), inputs[0].itemsize());
  Scratch carry(static_cast<size_t>(call.rows * call.units) * wide, s);
  call.carry = carry.get();
  // The step before the first one makes the gradients of the states to start from.
  int64_t first = spec.has_hidden || spec.has_cell ? -1 : 0;
  RecurrentSizes sizes{inputs[0].dtype(), call.rows, call.units, spec.gates() * call.units, 1};
  Runner runner("recurrent_backward", spec.kind, sizes, s);
  if (runner.clustered()) return runner.run(call, first, call.length);
  for (int64_t t = call.length - 1; t >= first; t--) runner.run(call, t, t + 1);
}

const Register<Recurrent> recurrent(eval_recurrent);
const Register<RecurrentBackward> recurrent_backward(eval_recurrent_backward);

}  // namespace

}  // namespace mlx::core::cuda
