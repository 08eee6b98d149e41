// Counters and limits of array memory, also under the name mlx.core.metal that older programs use.
#include "mlx/memory.h"

#include "mlx/backend/cuda/cuda.h"
#include "mlx/backend/metal/metal.h"

#include "python/src/bindings.h"
#include "python/src/trees.h"

namespace mlx::python {

namespace {

void bind_counters(nb::module_& m) {
  m.def("get_active_memory", &get_active_memory, "Bytes that arrays hold now.")
      .def("get_peak_memory", &get_peak_memory,
           "The most bytes that arrays held since the start or the last reset.")
      .def("reset_peak_memory", &reset_peak_memory, "Starts the peak again from now.")
      .def("get_cache_memory", &get_cache_memory, "Bytes freed by arrays and kept for reuse.")
      .def(
          "set_memory_limit",
          [](size_t limit, bool relaxed) { return set_memory_limit(limit, relaxed); }, "limit"_a,
          nb::kw_only(), "relaxed"_a = true,
          "Beyond `limit` bytes of active memory nothing that is freed is kept, and evaluations\n"
          "wait for earlier ones to end; only exhausted memory raises. Without `relaxed`,\n"
          "allocations that would pass the limit raise. Returns the old limit.")
      .def("set_cache_limit", &set_cache_limit, "limit"_a,
           "Freed memory beyond `limit` bytes goes back to the system. Returns the old limit.")
      .def("set_wired_limit", &set_wired_limit, "limit"_a,
           "Accepted for programs written for other systems. Returns the old limit.")
      .def("clear_cache", &clear_cache, "Returns all kept memory to the system.");
}

}  // namespace

void bind_memory(nb::module_& m) {
  bind_counters(m);
  m.def("get_memory_limit", &get_memory_limit, "The limit that `set_memory_limit` set, in bytes.");
  m.def(
      "get_array_buffer_size",
      [](const nb::args& args) { return get_array_buffer_size(tree_arrays(args)); },
      "Bytes of the buffers behind all arrays in the given trees, each buffer once.");

  auto metal = m.def_submodule("metal", "Apple's GPU interface, which this system does not have.");
  bind_counters(metal);
  metal.def("is_available", &metal::is_available, "False: there is no Metal here.")
      .def(
          "device_info", []() { return nb::dict(); }, "Nothing: there is no Metal here.")
      .def("start_capture", &metal::start_capture, "path"_a,
           "Raises RuntimeError: there is no Metal here.")
      .def("stop_capture", &metal::stop_capture, "Raises RuntimeError: there is no Metal here.");
  auto cuda = m.def_submodule("cuda", "The CUDA back end.");
  cuda.def("is_available", &cu::is_available, "Whether a CUDA device can be used.");
}

}  // namespace mlx::python
