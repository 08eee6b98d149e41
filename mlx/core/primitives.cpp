// What a primitive does where it does not say otherwise, and names of quantization modes.
#include "mlx/primitives.h"

#include <mutex>
#include <typeindex>
#include <unordered_map>

#include "mlx/core/errors.h"
#include "mlx/core/graph_lock.h"
#include "mlx/optable/quantized.h"
#include "mlx/utils.h"

namespace mlx::core {

size_t Primitive::hash() const { return typeid(*this).hash_code(); }

Stream stream_of(const array& a) {
  {
    std::lock_guard lock(graph_lock());
    if (a.has_primitive()) {
      return a.primitive().stream();
    }
  }
  return to_stream({});
}

std::vector<array> Primitive::jvp(const std::vector<array>&, const std::vector<array>&,
                                  const std::vector<int>&) {
  fail(name(), "No jvp is defined for this primitive.");
}

std::vector<array> Primitive::vjp(const std::vector<array>&, const std::vector<array>&,
                                  const std::vector<int>&, const std::vector<array>&) {
  fail(name(), "No vjp is defined for this primitive.");
}

std::pair<std::vector<array>, std::vector<int>> Primitive::vmap(const std::vector<array>&,
                                                                const std::vector<int>&) {
  fail(name(), "No vmap is defined for this primitive.");
}

std::vector<Shape> Primitive::output_shapes(const std::vector<array>&) {
  fail(name(), "Output shapes cannot be inferred for this primitive.");
}

size_t detail::type_number(const std::type_info& type) {
  static std::mutex mutex;
  static auto* numbers = new std::unordered_map<std::type_index, size_t>;
  std::lock_guard lock(mutex);
  return numbers->try_emplace(type, numbers->size() + 1).first->second;
}

size_t BuiltinPrimitive::type_number() const { return detail::type_number(typeid(*this)); }

std::string quantization_mode_to_string(QuantizationMode mode) {
  return quantization_row(mode).name;
}

QuantizationMode string_to_quantization_mode(const std::string& mode, std::string_view error_tag) {
  std::string known;
  for (auto& row : quantization_table) {
    if (mode == row.name) return row.mode;
    known += (known.empty() ? "'" : ", '") + std::string(row.name) + "'";
  }
  fail(std::string(error_tag.empty() ? "quantize" : error_tag).c_str(),
       "Invalid quantization mode '", mode, "'; there are ", known, ".");
}

}  // namespace mlx::core
