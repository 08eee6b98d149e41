// Making nodes again, and checking them.
#include "mlx/export/graph.h"

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

std::shared_ptr<const detail::Recording> make_recording(const StoredTrace& trace,
                                                        const std::vector<array>& constants,
                                                        const Stream& callers) {
  Outlines values;
  std::vector<array> own_constants;
  for (auto& a : trace.arguments) values.add(a.shape, a.dtype);
  for (uint32_t i : trace.constants) values.add(own_constants.emplace_back(constants[i]));
  std::vector<detail::Recording::Node> nodes;
  for (auto& stored : trace.nodes) {
    auto primitive = row_of(stored).make(stream_of(stored.place, callers), stored.fields);
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
    auto primitive = row_of(node).make(stream, node.fields);
    if (primitive->output_shapes(values.at(node.inputs)) != wanted.shapes) return false;
    for (size_t i = 0; i < wanted.shapes.size(); i++) values.add(wanted.shapes[i], node.dtypes[i]);
  }
  return true;
}

}  // namespace mlx::core
