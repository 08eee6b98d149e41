// The module mlx.core, put together from its parts.
#include "mlx/version.h"
#include "python/src/bindings.h"
#include "python/src/debug.h"
#include "python/src/gil.h"
#include "python/src/kept_call.h"

namespace nb = nanobind;

namespace {

/** Objects that other modules still hold when the process ends are reported to developers only, by
 *  `python -X dev`: frameworks beside this one keep whole programs alive to the end. */
void report_leaks_to_developers() {
  nb::object flags = nb::module_::import_("sys").attr("flags");
  nb::set_leak_warnings(nb::cast<bool>(flags.attr("dev_mode")));
}

}  // namespace

NB_MODULE(core, m) {
  using namespace mlx::python;
  report_leaks_to_developers();
  m.doc() = "Lazy arrays: operations build a graph, which is computed when a value is needed.";
  // Three integers, as programs split it at dots; metadata of the package have the local part, too.
  std::string version = mlx::core::version();
  m.attr("__version__") = version.substr(0, version.find('+'));
  bind_errors(m);
  bind_dtype(m);
  auto array_class = declare_array(m);
  bind_device(m);
  bind_stream(m);
  bind_array(m, array_class);
  bind_operators(array_class);
  bind_printing(m);
  bind_memory(m);
  bind_debug(m);
  bind_profiler(m);
  bind_elementwise(m);
  bind_load(m);
  bind_export_dot(m);
  bind_reduce(m);
  bind_scan(m);
  bind_sort(m);
  bind_shape(m);
  bind_creation(m);
  bind_index_ops(m);
  bind_matmul(m);
  bind_quantized(m);
  bind_conv(m);
  bind_indexing(m, array_class);
  bind_random(m);
  bind_fast(m);
  bind_recurrent(m);
  bind_batch_norm(m);
  bind_pool(m);
  bind_entries(m);
  bind_distributed(m);
  bind_fft(m);
  bind_linalg(m);
  bind_transforms(m);
  bind_kept_call(m);
  bind_compile(m);
  bind_custom_function(m);
  bind_control(m);
  bind_export(m);
  bind_lazy_modules(m);
  bind_exit();
}
