// Devices: which there are and which one is the default.
#include "mlx/device.h"

#include "mlx/backend/backend.h"
#include "mlx/core/errors.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace {

Device& default_device_slot() {
  thread_local Device device(device_count(Device::gpu) > 0 ? Device::gpu : Device::cpu);
  return device;
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
  auto* backend = backend_of(type);
  return backend ? backend->device_count() : 0;
}

const DeviceInfo& device_info(const Device& d) {
  check(is_available(d), "device_info", "No facts about ", d, ": ", unavailable_reason(d));
  return backend_of(d.type)->device_info(d.index);
}

}  // namespace mlx::core
