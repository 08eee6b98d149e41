// Devices by the names that MLX has for the backends of each kind.
#include <stdexcept>
#include <utility>

#include "mlx/backend/backend.h"
#include "mlx/backend/cpu/device_info.h"
#include "mlx/backend/cuda/cuda.h"
#include "mlx/backend/gpu/device_info.h"
#include "mlx/backend/metal/metal.h"
#include "mlx/core/errors.h"

namespace mlx::core {

namespace cpu {

bool is_available() { return device_count() > 0; }
int device_count() { return core::device_count(Device::cpu); }
const DeviceInfo& device_info(int device_index) {
  return core::device_info({Device::cpu, device_index});
}

}  // namespace cpu

namespace gpu {

bool is_available() { return device_count() > 0; }
int device_count() { return core::device_count(Device::gpu); }
const DeviceInfo& device_info(int device_index) {
  return core::device_info({Device::gpu, device_index});
}

}  // namespace gpu

namespace cu {

bool is_available() { return gpu::is_available(); }
const DeviceInfo& device_info(int device_index) { return gpu::device_info(device_index); }

}  // namespace cu

namespace metal {

namespace {

[[noreturn]] void fail_without_metal() {
  throw std::runtime_error(error_message("metal", "There is no Metal on this system."));
}

std::string& metallib_path() {
  static auto* path = new std::string;
  return *path;
}

}  // namespace

bool is_available() { return false; }
void start_capture(std::string /* path */) { fail_without_metal(); }
void stop_capture() { fail_without_metal(); }

const DeviceInfo& device_info() {
  static const auto* nothing = new DeviceInfo;
  return *nothing;
}

void set_metallib_path(const std::string& path) { metallib_path() = path; }
const std::string& get_metallib_path() { return metallib_path(); }

}  // namespace metal

}  // namespace mlx::core
