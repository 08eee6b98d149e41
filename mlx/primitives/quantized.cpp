// Quantisation and its inverse as nodes. Derivatives go through the plain form; how vmap sees the
// arrays of a quantised operand is said here for the products too.
#include "mlx/primitives/quantized.h"

#include <algorithm>

#include "mlx/ops.h"
#include "mlx/primitives/gather_mm.h"
#include "mlx/primitives/matmul.h"
#include "mlx/primitives/quantized_operands.h"
#include "mlx/primitives/quantized_plain.h"

namespace mlx::core {

namespace {

const array* at_or_null(std::span<const array> inputs, size_t i) {
  return i < inputs.size() ? &inputs[i] : nullptr;
}

}  // namespace

bool any_mapped(const std::vector<int>& axes) {
  return std::any_of(axes.begin(), axes.end(), [](int axis) { return axis >= 0; });
}

std::vector<array> mapped_operand(std::vector<array> parts, const std::vector<int>& axes,
                                  int matrices, int ndim, int count, Stream s) {
  if (!any_mapped(axes)) return parts;
  for (int i = 0; i < static_cast<int>(parts.size()); i++) {
    if (i >= matrices) {
      parts[i] = align_mapped(parts[i], axes[i], ndim - 2, s);
      continue;
    }
    if (axes[i] < 0) {
      Shape shape = parts[i].shape();
      shape.insert(shape.begin(), count);
      parts[i] = broadcast_to(parts[i], shape, s);
    }
    parts[i] = align_mapped(parts[i], std::max(axes[i], 0), ndim, s);
  }
  return parts;
}

QuantizedWeight quantized_weight(const QuantizedFormat& format, std::span<const array> inputs,
                                 size_t first) {
  bool biased = format.has_biases();
  return {inputs[first], inputs[first + 1], biased ? &inputs[first + 2] : nullptr,
          at_or_null(inputs, first + 2 + biased)};
}

std::vector<array> quantize_node(const QuantizedFormat& format, std::vector<array> inputs,
                                 Stream s) {
  auto primitive = std::make_shared<Quantize>(s, format);
  Dtype scale = format.has_biases() ? inputs[0].dtype() : uint8;
  std::vector<Dtype> dtypes{uint32, scale};
  if (format.has_biases()) dtypes.push_back(scale);
  return array::make_arrays(primitive->output_shapes(inputs), dtypes, primitive, inputs);
}

array dequantize_node(const QuantizedFormat& format, Dtype dtype, std::vector<array> inputs,
                      Stream s) {
  return make_node(std::make_shared<Dequantize>(s, format, dtype), dtype, std::move(inputs));
}

std::vector<Shape> Quantize::output_shapes(const std::vector<array>& inputs) {
  Shape packed = inputs[0].shape(), scales = packed;
  packed.back() = format_.words(packed.back());
  scales.back() /= format_.group_size;
  std::vector<Shape> shapes{packed, scales};
  if (format_.has_biases()) shapes.push_back(scales);
  return shapes;
}

std::vector<array> Quantize::fallback(const std::vector<array>& inputs) const {
  return plain_quantize(format_, inputs[0], at_or_null(inputs, 1), stream());
}

std::pair<std::vector<array>, std::vector<int>> Quantize::vmap(const std::vector<array>& inputs,
                                                               const std::vector<int>& axes) {
  auto mapped = mapped_operand(inputs, axes, 1, example_ndim(inputs[0], axes[0]),
                               mapped_count(inputs, axes), stream());
  auto outputs = quantize_node(format_, mapped, stream());
  return {outputs, std::vector<int>(outputs.size(), 0)};
}

std::vector<Shape> Dequantize::output_shapes(const std::vector<array>& inputs) {
  Shape shape = inputs[0].shape();
  shape.back() = format_.values(shape.back());
  return {shape};
}

std::vector<array> Dequantize::fallback(const std::vector<array>& inputs) const {
  return {plain_dequantize(format_, dtype_, quantized_weight(format_, inputs, 0), stream())};
}

std::pair<std::vector<array>, std::vector<int>> Dequantize::vmap(const std::vector<array>& inputs,
                                                                 const std::vector<int>& axes) {
  auto mapped = mapped_operand(inputs, axes, format_.arrays(), example_ndim(inputs[0], axes[0]),
                               mapped_count(inputs, axes), stream());
  return {{dequantize_node(format_, dtype_, mapped, stream())}, {0}};
}

}  // namespace mlx::core
