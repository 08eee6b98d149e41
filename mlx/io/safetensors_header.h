// The JSON header of a safetensors file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mlx/array.h"

namespace mlx::core::io {

/** One tensor as the header describes it; offsets are in bytes from the end of the header. */
struct TensorEntry {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;
  std::unordered_map<std::string, std::string> metadata;
};

/**
 * Reads the header. Throws std::runtime_error, which names `label`, for text that is not JSON, deep
 * nesting, duplicate names, and anything that is not in the format.
 */
SafetensorsHeader parse_safetensors_header(std::string_view text, const std::string& label);

/** Compact JSON. Throws std::invalid_argument for names or metadata that are not UTF-8. */
std::string format_safetensors_header(const SafetensorsHeader& header);

}  // namespace mlx::core::io
