// Which random bits may disappear into the group that reads them.
#include "mlx/graph/passes/generator.h"

#include <typeinfo>
#include <unordered_map>

#include "mlx/primitives/elementwise.h"
#include "mlx/primitives/random.h"

namespace mlx::core::detail {

namespace {

/** Whether `bits`, an input of `user`, may be made in the place where it is read. */
bool can_absorb(const Node& bits, const array& user) {
  const array& out = *bits.handle;
  auto& primitive = out.primitive();
  return typeid(primitive) == typeid(RandomBits) && !bits.requested && out.itemsize() == 4 &&
         out.inputs()[0].size() == 2 && out.shape() == user.shape() &&
         primitive.stream() == user.primitive().stream();
}

}  // namespace

Generators find_generators(const Walk& walk, const std::vector<Group>& groups) {
  Generators found;
  if (groups.size() < 2) {
    return found;
  }
  found.absorbed.resize(walk.nodes.size(), false);
  found.reader.resize(groups.size(), false);
  for (size_t g = 0; g < groups.size(); g++) {
    const Node& first = walk.nodes[groups[g][0]];
    if (!first.elementwise || first.elementwise->stream().device.type != Device::gpu) continue;
    std::unordered_map<uint32_t, long> uses;
    for (uint32_t i : groups[g]) {
      const array& user = *walk.nodes[i].handle;
      for (auto& in : user.inputs()) {
        uint32_t producer = walk.index_of(in);
        if (producer == Walk::none || !can_absorb(walk.nodes[producer], user)) continue;
        // All that hold the bits are inputs of this group.
        if (++uses[producer] == in.use_count()) {
          found.absorbed[producer] = found.reader[g] = true;
        }
      }
    }
  }
  return found;
}

std::vector<bool> replace_by_keys(const Walk& walk, const Generators& generators,
                                  std::vector<array>& inputs) {
  std::vector<bool> replaced(inputs.size(), false);
  for (size_t i = 0; i < inputs.size(); i++) {
    uint32_t producer = walk.index_of(inputs[i]);
    if (producer != Walk::none && generators.contains(producer)) {
      replaced[i] = true;
      inputs[i] = array(inputs[i].inputs()[0]);
    }
  }
  return replaced;
}

}  // namespace mlx::core::detail
