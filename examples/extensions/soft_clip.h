// An op that the library does not have, as extensions declare theirs.
#pragma once

#include "mlx/mlx.h"

namespace soft_clip {

namespace mx = mlx::core;

/** limit * tanh(x / limit): x where it is small, between -limit and limit everywhere. Computes in
 *  float32. Throws std::invalid_argument unless limit is positive. */
mx::array soft_clip(const mx::array& x, float limit, mx::StreamOrDevice s = {});

/** The node behind it. */
class SoftClip : public mx::UnaryPrimitive {
 public:
  SoftClip(mx::Stream stream, float limit) : mx::UnaryPrimitive(stream), limit_(limit) {}

  void eval_cpu(const std::vector<mx::array>& inputs, mx::array& output) override;
  void eval_gpu(const std::vector<mx::array>& inputs, mx::array& output) override;

  std::vector<mx::array> jvp(const std::vector<mx::array>& primals,
                             const std::vector<mx::array>& tangents,
                             const std::vector<int>& argnums) override;
  std::vector<mx::array> vjp(const std::vector<mx::array>& primals,
                             const std::vector<mx::array>& cotangents,
                             const std::vector<int>& argnums,
                             const std::vector<mx::array>& outputs) override;
  std::pair<std::vector<mx::array>, std::vector<int>> vmap(const std::vector<mx::array>& inputs,
                                                           const std::vector<int>& axes) override;
  std::vector<mx::Shape> output_shapes(const std::vector<mx::array>& inputs) override;
  bool is_equivalent(const mx::Primitive& other) const override;
  const char* name() const override { return "SoftClip"; }

 private:
  float limit_;
};

}  // namespace soft_clip
