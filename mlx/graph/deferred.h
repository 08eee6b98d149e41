// Calls of functions whose graphs are known before they are built, as those of compiled functions
// are. The outputs of a call wait for an evaluation: if it makes all that is held of them, it takes
// over the steps of an earlier one and needs no graph. Whoever looks closer, builds it.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "mlx/array.h"
#include "mlx/graph/plan.h"
#include "mlx/primitives.h"

namespace mlx::core::detail {

/** An array that is to be the value of this number. */
struct Placed {
  uint32_t number;
  array handle;
};

/** What a call's evaluation did, by slots: the call's own arrays, then what is read of the values
 *  that steps made, in their order. */
struct CallPlan {
  struct Read {
    uint32_t slot;
    bool is_last;
  };
  struct Made {
    Shape shape;
    Dtype dtype;
    uint32_t output;  // which of the graph's, or Walk::none
    bool is_read;
  };
  struct CallStep {
    std::shared_ptr<Primitive> primitive;
    std::vector<Read> inputs;
    std::vector<Made> outputs;
  };

  /** Void when it is forgotten. */
  std::weak_ptr<const Plan> plan;
  /** What it depends on beside the graph. */
  std::vector<uint64_t> situation;
  std::vector<uint32_t> sources;  // numbers of the arrays in the first slots
  std::vector<CallStep> steps;
  size_t slots = 0, bytes = 0;
  bool may_take_long = false;
};

/** A graph over numbered values: arguments, constants, then what its nodes make. */
class KnownGraph {
 public:
  struct Output {
    uint32_t number;
    Shape shape;
    Dtype dtype;
  };

  KnownGraph() = default;
  KnownGraph(const KnownGraph&) = default;
  KnownGraph(KnownGraph&&) = default;
  KnownGraph& operator=(const KnownGraph&) = default;
  KnownGraph& operator=(KnownGraph&&) = default;
  virtual ~KnownGraph() = default;

  /** The stream of all nodes. */
  virtual const Stream& stream() const = 0;
  virtual const std::vector<array>& constants() const = 0;
  /** What its nodes make for others, by ascending numbers. */
  virtual const std::vector<Output>& made() const = 0;
  /** All values, on inputs of the arguments' dtypes and shapes. Arrays that are placed, by
   * ascending numbers, become parts of the graph, all of them or none. */
  virtual std::vector<array> build(const std::vector<array>& inputs,
                                   std::span<const Placed> placed) const = 0;

 private:
  friend class CallBinder;
  /** The one used last in front. For whoever holds the graph lock. */
  mutable std::list<std::shared_ptr<const CallPlan>> plans_;
};

/** The primitive of the outputs of one call, until it has been evaluated or its graph is built. */
class DeferredCall final : public Primitive {
 public:
  DeferredCall(std::shared_ptr<const KnownGraph> graph, std::vector<array> inputs)
      : Primitive(graph->stream()), graph_(std::move(graph)), inputs_(std::move(inputs)) {}

  /** The arrays for `graph->made()`. */
  static std::vector<array> apply(const std::shared_ptr<const KnownGraph>& graph,
                                  std::vector<array> inputs);

  /** The call that `a` is an output of, or nullptr. */
  static std::shared_ptr<DeferredCall> of(const array& a);

  /** Builds the graph, of which those outputs become parts that are still held. Returns the ids of
   *  all values. To be called with the graph lock held. */
  std::vector<std::uintptr_t> build();

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  void eval_gpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  const char* name() const override { return "DeferredCall"; }
  size_t type_number() const override;

 private:
  friend class CallBinder;

  std::shared_ptr<const KnownGraph> graph_;
  std::vector<array> inputs_;
  std::vector<array::Weak> outputs_;
};

/** Builds the graph of the call that `a` is an output of, if it is one. To be called with the graph
 *  lock held by whoever looks at nodes. */
inline void build_graph_of(const array& a) {
  if (auto call = DeferredCall::of(a)) call->build();
}

/** Binds outputs of a call by what an evaluation before did that made all that is held, or by their
 *  graph. Small results that are held are made with them. Nothing if anything else is asked for, or
 *  if the call reads what is not at hand. To be called with the graph lock held. */
std::optional<BoundPlan> bind_call(const std::vector<array>& outputs);

}  // namespace mlx::core::detail
