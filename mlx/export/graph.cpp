// Making nodes again, and checking them.
#include "mlx/export/graph.h"

#include <numeric>
#include <stdexcept>

#include "mlx/export/checks.h"
#include "mlx/export/table.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

Stream stream_of(Place place, const Stream& callers) {
  if (place == Place::caller) return callers;
  Device device(place == Place::cpu ? Device::cpu : Device::gpu);
  return is_available(device) ? default_stream(device) : callers;
}

const ExportRow& row_of(const StoredNode& node) {
  const ExportRow* row = export_row(node.primitive);
  ByteReader::expect(row, "This library has no primitive ", io::shown(node.primitive), ".");
  return *row;
}

/** The values of a trace as arrays of which all but constants have shape and dtype only. */
class Outlines {
 public:
  void add(const Shape& shape, Dtype dtype) { values_.emplace_back(shape, dtype, nullptr, none_); }
  void add(const array& constant) { values_.push_back(constant); }
  std::vector<array> at(const std::vector<uint32_t>& numbers) const {
    std::vector<array> out;
    for (uint32_t i : numbers) out.push_back(values_[i]);
    return out;
  }

 private:
  const std::vector<array> none_{};
  std::vector<array> values_;
};

/** The graph of a branch or body. */
detail::SubgraphPtr make_subgraph(const StoredTrace& graph, const std::vector<array>& constants,
                                  const Stream& callers) {
  auto recording = make_recording(graph, constants, callers);
  Outlines values;
  std::vector<uint32_t> inputs(graph.arguments.size());
  std::iota(inputs.begin(), inputs.end(), 0);
  for (auto& a : graph.arguments) values.add(a.shape, a.dtype);
  for (uint32_t i : graph.constants) values.add(constants[i]);
  for (auto& node : graph.nodes) {
    for (size_t i = 0; i < node.shapes.size(); i++) values.add(node.shapes[i], node.dtypes[i]);
  }
  return std::make_shared<detail::Subgraph>(*recording, values.at(inputs),
                                            values.at(graph.outputs));
}

void check_stored(const StoredNode& stored, Primitive& primitive,
                  const std::vector<array>& inputs) {
  NodeCheck node(stored.primitive, inputs, stored.dtypes);
  try {
    row_of(stored).check(primitive, node);
    node.expect(primitive.output_shapes(inputs) == stored.shapes, "its outputs have other shapes");
  } catch (const std::invalid_argument& e) {  // an op's own check
    node.expect(false, e.what());
  } catch (const std::out_of_range& e) {
    node.expect(false, e.what());
  }
}

}  // namespace

std::shared_ptr<Primitive> make_primitive(const StoredNode& node,
                                          const std::vector<array>& constants,
                                          const Stream& callers) {
  Stream stream = stream_of(node.place, callers);
  ControlPrimitive::Graphs graphs;
  for (auto& graph : node.graphs) graphs.push_back(make_subgraph(graph, constants, callers));
  for (auto& graph : graphs) {
    for (auto& inner : graph->recording().nodes()) {
      ByteReader::expect(inner.primitive->stream() == stream,
                         "A graph in the file runs on another device than the node that has it.");
    }
  }
  return row_of(node).make(stream, node.fields, std::move(graphs));
}

std::shared_ptr<const detail::Recording> make_recording(const StoredTrace& trace,
                                                        const std::vector<array>& constants,
                                                        const Stream& callers) {
  Outlines values;
  std::vector<array> own_constants;
  for (auto& a : trace.arguments) values.add(a.shape, a.dtype);
  for (uint32_t i : trace.constants) values.add(own_constants.emplace_back(constants[i]));
  std::vector<detail::Recording::Node> nodes;
  for (auto& stored : trace.nodes) {
    auto primitive = make_primitive(stored, constants, callers);
    check_stored(stored, *primitive, values.at(stored.inputs));
    for (size_t i = 0; i < stored.shapes.size(); i++)
      values.add(stored.shapes[i], stored.dtypes[i]);
    nodes.push_back({std::move(primitive), stored.inputs, stored.shapes, stored.dtypes});
  }
  return std::make_shared<detail::Recording>(trace.arguments.size(), std::move(own_constants),
                                             std::move(nodes), trace.outputs);
}

void check_shapes(const StoredTrace& trace, const detail::Recording& recording,
                  const std::vector<array>& arguments) {
  Outlines values;
  for (auto& a : arguments) values.add(a.shape(), a.dtype());
  for (auto& a : recording.constants()) values.add(a);
  for (size_t n = 0; n < trace.nodes.size(); n++) {
    const StoredNode& stored = trace.nodes[n];
    Primitive& primitive = *recording.nodes()[n].primitive;
    auto inputs = values.at(stored.inputs);
    try {
      row_of(stored).check(primitive, NodeCheck(stored.primitive, inputs, stored.dtypes));
    } catch (const std::runtime_error& e) {
      throw std::invalid_argument(e.what());
    }
    auto shapes = primitive.output_shapes(inputs);
    for (size_t i = 0; i < shapes.size(); i++) values.add(shapes[i], stored.dtypes[i]);
  }
}

bool shapes_follow(const StoredTrace& trace, const StoredTrace& other,
                   const std::vector<array>& constants) {
  Outlines values;
  for (auto& a : other.arguments) values.add(a.shape, a.dtype);
  for (uint32_t i : other.constants) values.add(constants[i]);
  Stream stream = default_stream(Device::cpu);
  for (size_t n = 0; n < trace.nodes.size(); n++) {
    const StoredNode &node = trace.nodes[n], &wanted = other.nodes[n];
    auto primitive = make_primitive(node, constants, stream);
    auto inputs = values.at(node.inputs);
    row_of(node).check(*primitive, NodeCheck(node.primitive, inputs, node.dtypes));
    if (primitive->output_shapes(inputs) != wanted.shapes) return false;
    for (size_t i = 0; i < wanted.shapes.size(); i++) values.add(wanted.shapes[i], node.dtypes[i]);
  }
  return true;
}

}  // namespace mlx::core
