// Cross-entropy and its gradient on the GPU, a kernel each.
#include "mlx/backend/cuda/cross_entropy.h"

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/cross_entropy_call.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/primitives/cross_entropy.h"

namespace mlx::core::cuda {

namespace {

using kernels::CrossEntropyCall;

constexpr int threads = 256;
constexpr int64_t long_row = 1024, piece = 16;

struct Variant {
  int lanes, pack;
};

/** Pieces of 16 bytes where all rows start at one. */
Variant variant_of(const CrossEntropyCall& call, const array& logits) {
  auto itemsize = static_cast<int64_t>(logits.itemsize());
  auto addresses =
      reinterpret_cast<uint64_t>(call.logits) | reinterpret_cast<uint64_t>(call.gradient);
  bool wide = addresses % piece == 0 && call.classes * itemsize % piece == 0;
  return {call.classes > long_row ? threads : 32, wide ? static_cast<int>(piece / itemsize) : 1};
}

/** Of logits that may lie anywhere. */
CrossEntropyCall outline_of(const array& logits) {
  CrossEntropyCall call{};
  call.classes = logits.shape(-1);
  return call;
}

void set_rows(CrossEntropyCall& call, const array& logits, const array& targets, const Stream& s) {
  call.classes = logits.shape(-1);
  call.rows = static_cast<int64_t>(targets.size());
  call.logits = input_address(logits, s);
  call.targets = input_address(targets, s);
  call.target_type = targets.dtype() == int64    ? kernels::target_int64
                     : targets.dtype() == uint32 ? kernels::target_uint32
                                                 : kernels::target_int32;
}

void start(const KernelCall& kernel, Variant variant, const CrossEntropyCall& call,
           const Stream& s) {
  launch(kernel_of(kernel, s), blocks_for(call.rows, threads / variant.lanes), threads, s, call);
}

void eval_forward(CrossEntropy& primitive, const std::vector<array>& inputs,
                  std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  for (auto& out : outputs) {
    allocate_output(out, s);
  }
  if (inputs[0].size() == 0) {
    return;
  }
  array logits = contiguous(inputs[0], s), targets = contiguous(inputs[1], s);
  CrossEntropyCall call{};
  set_rows(call, logits, targets, s);
  call.losses = output_address(outputs[0]);
  call.statistics = output_address(outputs[1]);
  auto variant = variant_of(call, logits);
  start(cross_entropy_call(logits.dtype(), variant.lanes, variant.pack), variant, call, s);
}

void eval_backward(CrossEntropyBackward& primitive, const std::vector<array>& inputs,
                   std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  array& out = outputs[0];
  array logits = contiguous_for(inputs[0], out, s);
  if (out.size() == 0) {
    return;
  }
  array cotangent = contiguous(inputs[1], s), targets = contiguous(inputs[2], s);
  array statistics = contiguous(inputs[3], s);
  CrossEntropyCall call{};
  set_rows(call, logits, targets, s);
  call.cotangent = input_address(cotangent, s);
  call.statistics = const_cast<void*>(input_address(statistics, s));
  call.gradient = output_address(out);
  auto variant = variant_of(call, logits);
  start(cross_entropy_gradient_call(logits.dtype(), variant.lanes, variant.pack), variant, call, s);
}

void foresee_forward(const CrossEntropy& primitive, const std::vector<array>& inputs,
                     const std::vector<array>& /* outputs */) {
  Variant v = variant_of(outline_of(inputs[0]), inputs[0]);
  foresee_kernel(cross_entropy_call(inputs[0].dtype(), v.lanes, v.pack), primitive.stream());
}

void foresee_backward(const CrossEntropyBackward& primitive, const std::vector<array>& inputs,
                      const std::vector<array>& /* outputs */) {
  Variant v = variant_of(outline_of(inputs[0]), inputs[0]);
  foresee_kernel(cross_entropy_gradient_call(inputs[0].dtype(), v.lanes, v.pack),
                 primitive.stream());
}

const Register<CrossEntropy> cross_entropy(eval_forward, nullptr, foresee_forward);
const Register<CrossEntropyBackward> cross_entropy_backward(eval_backward, nullptr,
                                                            foresee_backward);

KernelCall call_of(const char* name, Dtype dtype, int lanes, int pack) {
  return {"cross_entropy.h", "CrossEntropyCall",
          std::string(name) + "<" + type_name(dtype) + ", " + std::to_string(lanes) + ", " +
              std::to_string(pack) + ">",
          threads};
}

}  // namespace

KernelCall cross_entropy_call(Dtype dtype, int lanes, int pack) {
  return call_of("cross_entropy", dtype, lanes, pack);
}

KernelCall cross_entropy_gradient_call(Dtype dtype, int lanes, int pack) {
  return call_of("cross_entropy_gradient", dtype, lanes, pack);
}

}  // namespace mlx::core::cuda
