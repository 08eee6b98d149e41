// Functions as graphs within a node: traced once, without arrays of their own.
#pragma once

#include <memory>
#include <vector>

#include "mlx/control.h"
#include "mlx/transforms/recording.h"

namespace mlx::core::detail {

class Subgraph {
 public:
  /** `inputs` and `outputs` say which shapes and dtypes the graph was traced with. */
  Subgraph(Recording recording, const std::vector<array>& inputs,
           const std::vector<array>& outputs);

  /** The graph on inputs of these dtypes and ranks. */
  std::vector<array> operator()(const std::vector<array>& inputs) const;

  /** What it gives for inputs of these shapes; they need no data. */
  std::vector<Shape> output_shapes(const std::vector<array>& inputs) const;

  const std::vector<Shape>& input_shapes() const { return input_shapes_; }
  const std::vector<Dtype>& input_dtypes() const { return input_dtypes_; }
  const std::vector<Shape>& shapes() const { return shapes_; }
  const std::vector<Dtype>& dtypes() const { return dtypes_; }
  const Recording& recording() const { return recording_; }

 private:
  Recording recording_;
  std::vector<Shape> input_shapes_, shapes_;
  std::vector<Dtype> input_dtypes_, dtypes_;
};

using SubgraphPtr = std::shared_ptr<const Subgraph>;

/** Functions of the same arguments. */
struct Subgraphs {
  std::vector<SubgraphPtr> graphs;
  /** Arrays that any of the functions read; they are inputs of all graphs, behind the arguments. */
  std::vector<array> captured;
};

/** Traces the functions with arguments like `like` on the stream `s`. Throws std::invalid_argument,
 *  in the name of `op`, where one of them uses another stream. */
Subgraphs trace_subgraphs(const char* op, const std::vector<ControlFunction>& functions,
                          const std::vector<array>& like, const Stream& s);

}  // namespace mlx::core::detail
