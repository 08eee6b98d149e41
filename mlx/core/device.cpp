// Devices: which there are and which one is the default.
#include "mlx/device.h"

#include <sys/sysinfo.h>

#include <fstream>

#include "mlx/backend/backend.h"
#include "mlx/core/errors.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

Device& default_device_slot() {
  thread_local Device device(device_count(Device::gpu) > 0 ? Device::gpu : Device::cpu);
  return device;
}

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      return line.substr(std::min(line.find(':') + 2, line.size()));
    }
  }
  return "unknown";
}

using DeviceInfo = std::unordered_map<std::string, std::variant<std::string, size_t>>;

DeviceInfo cpu_info() {
  struct sysinfo memory {};
  sysinfo(&memory);
  return {{"device_name", cpu_model()},
          {"architecture", std::string("x86_64")},
          {"memory_size", static_cast<size_t>(memory.totalram) * memory.mem_unit}};
}

}  // namespace

bool operator==(const Device& device, Device::DeviceType type) { return device == Device(type); }

const Device& default_device() { return default_device_slot(); }

void set_default_device(const Device& d) {
  check(is_available(d), "set_default_device", "Cannot make ", d,
        " the default: ", unavailable_reason(d));
  default_device_slot() = d;
}

bool is_available(const Device& d) { return d.index >= 0 && d.index < device_count(d.type); }

int device_count(Device::DeviceType type) {
  if (type == Device::cpu) {
    return 1;
  }
  auto* backend = gpu_backend();
  return backend ? backend->device_count() : 0;
}

const DeviceInfo& device_info(const Device& d) {
  check(is_available(d), "device_info", "No facts about ", d, ": ", unavailable_reason(d));
  static const DeviceInfo cpu = cpu_info();
  return d.type == Device::cpu ? cpu : gpu_backend()->device_info(d.index);
}

}  // namespace mlx::core
