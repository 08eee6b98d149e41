// Which products may end in the maximum with zero that alone reads them.
#include "mlx/graph/passes/epilogue.h"

#include <algorithm>
#include <typeinfo>

#include "mlx/primitives/elementwise.h"
#include "mlx/primitives/matmul.h"

namespace mlx::core::detail {

namespace {

/** Zero, known without asking the device. */
bool is_zero(const Walk& walk, const array& a) {
  if (a.size() != 1 || walk.index_of(a) != Walk::none || !a.is_available() ||
      a.buffer().device_memory()) {
    return false;
  }
  const char* bytes = a.data<char>();
  return std::all_of(bytes, bytes + a.itemsize(), [](char byte) { return byte == 0; });
}

bool can_end(const Node& product, const array& result) {
  auto& primitive = product.handle->primitive();
  Dtype dtype = result.dtype();
  return (typeid(primitive) == typeid(Matmul) || typeid(primitive) == typeid(AddMM)) &&
         (dtype == float32 || dtype == float16 || dtype == bfloat16) && !product.requested &&
         product.handle->shape() == result.shape() &&
         primitive.stream() == result.primitive().stream();
}

/** The product of maximum(product, 0) in either order, or `none`. */
uint32_t rectified_product(const Walk& walk, const Node& node) {
  const array& result = *node.handle;
  if (!node.elementwise || node.elementwise->op() != ElementwiseOp::Maximum ||
      node.elementwise->stream().device.type != Device::gpu) {
    return Walk::none;
  }
  auto& in = result.inputs();
  for (size_t i : {0, 1}) {
    uint32_t producer = walk.index_of(in[i]);
    if (producer != Walk::none && in[i].use_count() == 1 && can_end(walk.nodes[producer], result) &&
        is_zero(walk, in[1 - i])) {
      return producer;
    }
  }
  return Walk::none;
}

}  // namespace

Epilogues find_epilogues(const Walk& walk, const std::vector<Group>& groups) {
  Epilogues found;
  for (size_t g = 0; g < groups.size() && groups.size() > 1; g++) {
    if (groups[g].size() != 1) continue;
    uint32_t product = rectified_product(walk, walk.nodes[groups[g][0]]);
    if (product == Walk::none) continue;
    found.absorbed.resize(walk.nodes.size(), false);
    found.absorbed[product] = true;
    found.product_of[g] = product;
  }
  return found;
}

}  // namespace mlx::core::detail
