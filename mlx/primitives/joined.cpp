// Dealing out the arrays of a joined step.
#include "mlx/primitives/joined.h"

namespace mlx::core {

std::vector<JoinedPart> Joined::parts(std::span<const array> inputs,
                                      std::span<array> outputs) const {
  std::vector<JoinedPart> all;
  all.reserve(members_.size());
  for (auto& member : members_) {
    all.push_back({*member.primitive, inputs.first(member.inputs), outputs.first(member.outputs)});
    inputs = inputs.subspan(member.inputs);
    outputs = outputs.subspan(member.outputs);
  }
  return all;
}

}  // namespace mlx::core
