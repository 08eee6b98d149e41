// Streams in Python: objects, the functions around the default stream, and `with` blocks.
#include "python/src/stream.h"

#include <sstream>

#include "mlx/stream.h"
#include "python/src/gil.h"

namespace mlx::python {

namespace {

/** The streams entered by `with s:` in this thread, innermost last. */
std::vector<std::unique_ptr<StreamContext>>& entered_streams() {
  thread_local std::vector<std::unique_ptr<StreamContext>> entered;
  return entered;
}

template <typename S>
void bind_stream_class(nb::class_<S>& cls, const char* name) {
  cls.def_prop_ro(
         "device", [](const S& s) { return s.device; }, "Where the stream's work runs.")
      .def_prop_ro("index", [](const S& s) { return s.index; })
      .def(
          "__eq__",
          [](const S& s, nb::handle other) {
            auto* t = instance_of<S>(other);
            return t && s == *t;
          },
          "other"_a.none())
      .def("__hash__", [](const S& s) { return 2 * s.index + static_cast<int>(s.device.type); })
      .def("__repr__", [name](const S& s) {
        std::ostringstream os;
        os << name << "(" << s.device << ", " << s.index << ")";
        return os.str();
      });
}

void wait_unlocked(StreamOrDevice s) {
  Unlocked unlocked;
  if (std::holds_alternative<std::monostate>(s)) {
    synchronize();
  } else {
    synchronize(to_stream(s));
  }
}

Device or_default(const std::optional<DeviceArg>& d) { return d ? d->device : default_device(); }

void bind_functions(nb::module_& m) {
  m.def(
       "default_stream",
       [](const std::optional<DeviceArg>& d) { return default_stream(or_default(d)); },
       "device"_a = nb::none(), "This thread's default stream of a device.")
      .def("set_default_stream", &set_default_stream, "stream"_a,
           "Makes `stream` this thread's default on its device.")
      .def(
          "new_stream", [](const std::optional<DeviceArg>& d) { return new_stream(or_default(d)); },
          "device"_a = nb::none(), "A new stream on `device` or the default device.")
      .def(
          "new_thread_unsafe_stream",
          [](const std::optional<DeviceArg>& d) { return new_thread_unsafe_stream(or_default(d)); },
          "device"_a = nb::none(), "A stream that only one thread may use.")
      .def(
          "new_thread_local_stream",
          [](const std::optional<DeviceArg>& d) { return new_thread_local_stream(or_default(d)); },
          "device"_a = nb::none(), "Stands for one stream per thread that uses it.")
      .def(
          "stream", [](StreamOrDevice s) { return StreamScope(std::move(s)); }, "s"_a,
          "A context manager that makes a stream, or a device's stream, the default.")
      .def("synchronize", &wait_unlocked, "stream"_a = nb::none(),
           "Waits for all work of a stream, of the default stream if none is given.")
      .def(
          "clear_streams",
          []() {
            Unlocked unlocked;
            clear_streams();
          },
          "Waits for all streams and forgets those that this thread made.");
}

}  // namespace

void bind_stream(nb::module_& m) {
  nb::class_<Stream> stream(m, "Stream", "A queue of work on one device, run in order.");
  bind_stream_class(stream, "Stream");
  stream
      .def("__enter__",
           [](nb::handle self) {
             entered_streams().push_back(std::make_unique<StreamContext>(nb::cast<Stream>(self)));
             return nb::borrow(self);
           })
      .def(
          "__exit__",
          [](nb::handle, nb::handle, nb::handle, nb::handle) {
            if (!entered_streams().empty()) {
              entered_streams().pop_back();
            }
          },
          "exc_type"_a = nb::none(), "exc_value"_a = nb::none(), "traceback"_a = nb::none());
  nb::class_<ThreadLocalStream> local(m, "ThreadLocalStream",
                                      "Stands for one stream per thread that uses it.");
  bind_stream_class(local, "ThreadLocalStream");

  nb::class_<StreamScope>(m, "StreamContext",
                          "Makes a stream or device the default inside a `with` block.")
      .def(nb::init<StreamOrDevice>(), "s"_a)
      .def("__enter__",
           [](nb::handle self) {
             nb::cast<StreamScope&>(self).enter();
             return nb::borrow(self);
           })
      .def(
          "__exit__", [](StreamScope& self, nb::handle, nb::handle, nb::handle) { self.leave(); },
          "exc_type"_a = nb::none(), "exc_value"_a = nb::none(), "traceback"_a = nb::none());
  bind_device_functions(m);
  bind_functions(m);
}

}  // namespace mlx::python
