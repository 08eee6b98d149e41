// Apple's GPU interface, which the systems that this library runs on do not have: programs ask
// before they use it.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <variant>

namespace mlx::core::metal {

/** False. */
bool is_available();

/** Throw std::runtime_error: there is no Metal. */
void start_capture(std::string path = "");
void stop_capture();

/** Nothing. */
const std::unordered_map<std::string, std::variant<std::string, size_t>>& device_info();

/** Where a library of kernels would be; kept and not looked at. */
void set_metallib_path(const std::string& path);
const std::string& get_metallib_path();

}  // namespace mlx::core::metal
