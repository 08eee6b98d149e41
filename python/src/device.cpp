// Devices in Python.
#include "mlx/device.h"

#include <sstream>

#include "python/src/bindings.h"
#include "python/src/stream.h"

namespace mlx::python {

namespace {

using DeviceType = Device::DeviceType;

bool same_device(nb::handle a, nb::handle b) {
  DeviceArg first;
  DeviceArg second;
  return nb::try_cast(a, first) && nb::try_cast(b, second) && first.device == second.device;
}

std::string enum_name(nb::handle type) {
  return std::string("DeviceType.") + nb::str(type.attr("name")).c_str();
}

nb::object current_device(const std::optional<DeviceArg>& device) {
  if (device) {
    return nb::cast(StreamScope(device->device));
  }
  return nb::cast(Device(default_device()));
}

nb::dict facts(const Device& d) {
  nb::dict out;
  for (auto& [name, value] : device_info(d)) {
    std::visit([&, &key = name](auto& v) { out[key.c_str()] = nb::cast(v); }, value);
  }
  return out;
}

}  // namespace

void bind_device(nb::module_& m) {
  nb::enum_<DeviceType>(m, "DeviceType", "A sort of device.")
      .value("cpu", Device::cpu)
      .value("gpu", Device::gpu)
      .def("__eq__", &same_device, "other"_a.none())
      .def("__hash__", [](nb::handle h) { return static_cast<int>(nb::cast<DeviceType>(h)); })
      .def("__repr__", &enum_name)
      .def("__str__", &enum_name);
  m.attr("cpu") = nb::cast(Device::cpu);
  m.attr("gpu") = nb::cast(Device::gpu);

  nb::class_<Device>(m, "Device", "A place where work runs: a type and an index.")
      .def(nb::init<DeviceType, int>(), "type"_a, "index"_a = 0)
      .def_ro("type", &Device::type)
      .def_ro("index", &Device::index)
      .def("__eq__", &same_device, "other"_a.none())
      .def("__reduce__",
           [](nb::handle self) {
             nb::object type = self.attr("type"), index = self.attr("index");  // these may raise
             return nb::make_tuple(self.type(), nb::make_tuple(type, index));
           })
      .def("__hash__",
           [](const Device& d) { return static_cast<int>(d.type) + 2 * static_cast<int>(d.index); })
      .def("__repr__", [](const Device& d) {
        std::ostringstream os;
        os << d;
        return os.str();
      });
}

void bind_device_functions(nb::module_& m) {
  m.def("default_device", &current_device, "device"_a = nb::none(),
        nb::sig("def default_device(device: Device | DeviceType | None = None) -> "
                "Device | StreamContext"),
        "The device that ops of this thread use when none is named. With an argument: a context\n"
        "manager that makes `device` the default inside a `with` block.")
      .def(
          "set_default_device", [](const DeviceArg& d) { set_default_device(d.device); },
          "device"_a,
          "Makes `device` this thread's default. Raises ValueError if it is not available.")
      .def(
          "is_available", [](const DeviceArg& d) { return is_available(d.device); }, "device"_a,
          "Whether the device can be used.")
      .def("device_count", &device_count, "device_type"_a, "Number of devices of a type.")
      .def(
          "device_info",
          [](const std::optional<DeviceArg>& d) { return facts(d ? d->device : default_device()); },
          "d"_a = nb::none(), "Facts about a device by name; sizes are in bytes.");
}

}  // namespace mlx::python
