// Facts about NVIDIA's GPUs, by the name that programs written for MLX know.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <variant>

namespace mlx::core::cu {

bool is_available();

/** Facts by name, as mlx::core::device_info has them; throws std::invalid_argument if the device is
 *  not available. */
const std::unordered_map<std::string, std::variant<std::string, size_t>>& device_info(
    int device_index = 0);

}  // namespace mlx::core::cu
