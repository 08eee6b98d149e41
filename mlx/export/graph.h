// From stored traces to graphs: what import does. Nothing that a file says of a node is believed
// before it has been compared with what the node's primitive says of itself.
#pragma once

#include <memory>
#include <vector>

#include "mlx/array.h"
#include "mlx/export/stored.h"
#include "mlx/stream.h"
#include "mlx/transforms/recording.h"

namespace mlx::core {

/**
 * The trace for callers with the default stream `callers`. Nodes for a device that is not there run
 * on the caller's. Throws std::runtime_error where a node cannot be what the trace says.
 */
std::shared_ptr<const detail::Recording> make_recording(const StoredTrace& trace,
                                                        const std::vector<array>& constants,
                                                        const Stream& callers);

/** Throws std::invalid_argument where a node of the graph cannot be applied to what it gets from
 *  arguments of these shapes, other than the trace's. */
void check_shapes(const StoredTrace& trace, const detail::Recording& recording,
                  const std::vector<array>& arguments);

/** The primitive of a node, with the graphs that it holds. */
std::shared_ptr<Primitive> make_primitive(const StoredNode& node,
                                          const std::vector<array>& constants,
                                          const Stream& callers);

/** Whether the nodes of `trace`, from the arguments of `other`, get the shapes that they have in
 *  `other`. Throws where an input's shape is not possible. */
bool shapes_follow(const StoredTrace& trace, const StoredTrace& other,
                   const std::vector<array>& constants);

}  // namespace mlx::core
