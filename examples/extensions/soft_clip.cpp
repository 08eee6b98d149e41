// The op: what it computes on the CPU, its derivative, and how it is mapped over a batch.
#include "soft_clip.h"

#include <cmath>
#include <stdexcept>

namespace soft_clip {

mx::array soft_clip(const mx::array& x, float limit, mx::StreamOrDevice s) {
  if (!(limit > 0)) {
    throw std::invalid_argument("[soft_clip] limit must be positive.");
  }
  // eval_cpu walks dense memory, so the input has to be row contiguous.
  mx::array input = mx::contiguous(mx::astype(x, mx::float32, s), false, s);
  return mx::array(input.shape(), mx::float32, std::make_shared<SoftClip>(mx::to_stream(s), limit),
                   {input});
}

void SoftClip::eval_cpu(const std::vector<mx::array>& inputs, mx::array& output) {
  output.set_data(mx::allocator::malloc(output.nbytes()));
  const auto* x = inputs[0].data<float>();
  auto* y = output.data<float>();
  for (size_t i = 0; i < output.size(); i++) {
    y[i] = limit_ * std::tanh(x[i] / limit_);
  }
}

void SoftClip::eval_gpu(const std::vector<mx::array>&, mx::array&) {
  throw std::runtime_error("[soft_clip] has no code for GPUs: call it with stream=mx.cpu.");
}

// With y = limit * tanh(x / limit), dy/dx is 1 - (y / limit)^2: both rules come from the result.
std::vector<mx::array> SoftClip::jvp(const std::vector<mx::array>& primals,
                                     const std::vector<mx::array>& tangents,
                                     const std::vector<int>&) {
  mx::array ratio = mx::tanh(primals[0] * (1 / limit_), stream());
  return {mx::multiply(1.0f - mx::square(ratio, stream()), tangents[0], stream())};
}

std::vector<mx::array> SoftClip::vjp(const std::vector<mx::array>& primals,
                                     const std::vector<mx::array>& cotangents,
                                     const std::vector<int>& argnums,
                                     const std::vector<mx::array>&) {
  return jvp(primals, cotangents, argnums);
}

// Every element is on its own, so a batch axis stays where it is.
std::pair<std::vector<mx::array>, std::vector<int>> SoftClip::vmap(
    const std::vector<mx::array>& inputs, const std::vector<int>& axes) {
  return {{soft_clip(inputs[0], limit_, stream())}, axes};
}

std::vector<mx::Shape> SoftClip::output_shapes(const std::vector<mx::array>& inputs) {
  return {inputs[0].shape()};
}

bool SoftClip::is_equivalent(const mx::Primitive& other) const {
  return limit_ == static_cast<const SoftClip&>(other).limit_;
}

}  // namespace soft_clip
