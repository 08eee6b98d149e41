// A traced function as nodes over numbered values, so that it runs again without looking anything
// up.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mlx/array.h"
#include "mlx/core/function_ref.h"
#include "mlx/graph/tape.h"
#include "mlx/primitives/transforms.h"

namespace mlx::core::detail {

class Recording {
 public:
  struct Node {
    std::shared_ptr<Primitive> primitive;
    std::vector<uint32_t> inputs;
    std::vector<Shape> shapes;
    std::vector<Dtype> dtypes;
    std::shared_ptr<const void> call = nullptr;  // keeps that of a function with rules
    std::string origin = {};                     // known only while somebody asks for origins
  };

  /** `tape` holds what makes `outputs` of `arguments`. */
  Recording(const Tape& tape, const std::vector<array>& arguments,
            const std::vector<array>& outputs);
  /** From its parts. Values are numbered: arguments, constants, then the outputs of each node. */
  Recording(size_t arguments, std::vector<array> constants, std::vector<Node> nodes,
            std::vector<uint32_t> outputs);

  const std::vector<array>& constants() const { return constants_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<uint32_t>& outputs() const { return outputs_; }

  /** The graph again, on other inputs of the arguments' dtypes and shapes. With `shapeless` only
   *  ranks and dtypes are the same, and shapes follow from the inputs'. */
  std::vector<array> replay(const std::vector<array>& inputs, bool shapeless) const;

  /** Whether this recording replayed on `inputs`, of other shapes than its own, is the graph that
   *  `other` recorded at these. */
  bool gives(const Recording& other, const std::vector<array>& inputs) const;

  /** Calls `visit` with each of the things by which this recording keeps functions with rules of
   *  their own. */
  void visit_calls(FunctionRef<void(const void*)> visit) const;

 private:
  class Numbering;

  void replay(const Node& node, bool shapeless, std::vector<array>& values) const;
  std::vector<array> replay_all(const std::vector<array>& inputs, bool shapeless) const;

  size_t arguments_;
  std::vector<array> constants_;
  std::vector<Node> nodes_;
  std::vector<uint32_t> outputs_;
  size_t values_;
};

}  // namespace mlx::core::detail
