// A traced function as nodes over numbered values, so that it runs again without looking anything
// up.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mlx/array.h"
#include "mlx/core/function_ref.h"
#include "mlx/graph/deferred.h"
#include "mlx/graph/tape.h"
#include "mlx/primitives/transforms.h"

namespace mlx::core::detail {

class Recording : public KnownGraph {
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

  const std::vector<array>& constants() const override { return constants_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<uint32_t>& outputs() const { return outputs_; }

  /** The graph again, on other inputs of the arguments' dtypes and shapes. With `shapeless` only
   *  ranks and dtypes are the same, and shapes follow from the inputs'. */
  std::vector<array> replay(const std::vector<array>& inputs, bool shapeless) const;

  /** Whether it can be replayed as a call whose graph is not built for the time being, and is large
   *  enough for that. */
  bool can_be_deferred() const { return deferrable_; }
  /** The outputs of such a call, on inputs as `replay` has them, none of them traced. */
  static std::vector<array> defer(const std::shared_ptr<const Recording>& recording,
                                  const std::vector<array>& inputs);

  const Stream& stream() const override { return nodes_.front().primitive->stream(); }
  const std::vector<Output>& made() const override { return made_; }
  std::vector<array> build(const std::vector<array>& inputs,
                           std::span<const Placed> placed) const override;

  /** Whether this recording replayed on `inputs`, of other shapes than its own, is the graph that
   *  `other` recorded at these. */
  bool gives(const Recording& other, const std::vector<array>& inputs) const;

  /** Calls `visit` with each of the things by which this recording keeps functions with rules of
   *  their own. */
  void visit_calls(FunctionRef<void(const void*)> visit) const;

 private:
  class Numbering;

  void find_made();
  std::vector<array> sources(const std::vector<array>& inputs) const;
  void replay(const Node& node, bool shapeless, std::vector<array>& values) const;
  std::vector<array> replay_all(const std::vector<array>& inputs, bool shapeless) const;

  size_t arguments_;
  std::vector<array> constants_;
  std::vector<Node> nodes_;
  std::vector<uint32_t> outputs_;
  size_t values_;
  bool deferrable_ = false;
  std::vector<Output> made_;       // for those, what nodes make of the outputs
  std::vector<uint32_t> results_;  // and the outputs where no function with rules stands between
};

}  // namespace mlx::core::detail
