// Devices: where a stream's work runs.
#pragma once

#include <cstddef>
#include <string>
#include <unordered_map>
#include <variant>

namespace mlx::core {

struct Device {
  enum class DeviceType { cpu, gpu };

  static constexpr DeviceType cpu = DeviceType::cpu;
  static constexpr DeviceType gpu = DeviceType::gpu;

  Device(DeviceType type, int index = 0) : type(type), index(index) {}

  bool operator==(const Device& other) const { return type == other.type && index == other.index; }
  bool operator!=(const Device& other) const { return !(*this == other); }
  bool operator<(const Device& rhs) const {
    return type != rhs.type ? type < rhs.type : index < rhs.index;
  }

  DeviceType type;
  int index;
};

/** Whether `device` is the first one of `type`. */
bool operator==(const Device& device, Device::DeviceType type);

/** The device that ops use when none is named; per thread, the GPU at start where there is one. */
const Device& default_device();

/** Throws std::invalid_argument if the device is not available. */
void set_default_device(const Device& d);

bool is_available(const Device& d);

int device_count(Device::DeviceType type);

/** Facts about a device by name; sizes in bytes. Throws if the device is not available. */
const std::unordered_map<std::string, std::variant<std::string, size_t>>& device_info(
    const Device& d = default_device());

}  // namespace mlx::core
