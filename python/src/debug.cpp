// Lines are those of the innermost frame outside this package: the checks and the profiler name
// them.
#include "python/src/debug.h"

#include "mlx/core/origins.h"
#include "mlx/debug.h"
#include "mlx/stream.h"

namespace mlx::python {

namespace {

std::string text_of(nb::handle h) {
  const char* text = PyUnicode_AsUTF8(h.ptr());
  if (!text) {
    PyErr_Clear();
  }
  return text ? text : "?";
}

/** Of this package, whose own lines are nobody's program; with a slash behind it. */
const std::string& package_folder() {
  static const auto* folder = [] {
    std::string file = text_of(nb::module_::import_("mlx.core").attr("__file__"));
    return new std::string(file.substr(0, file.rfind('/') + 1));
  }();
  return *folder;
}

/** `file.py:12` of the innermost frame outside this package. Threads without the GIL have none. */
std::string line_of_caller() {
  if (!PyGILState_Check()) {
    return "";
  }
  nb::object frame = nb::borrow(reinterpret_cast<PyObject*>(PyEval_GetFrame()));
  while (frame.is_valid()) {
    auto* raw = reinterpret_cast<PyFrameObject*>(frame.ptr());
    auto code = nb::steal(reinterpret_cast<PyObject*>(PyFrame_GetCode(raw)));
    std::string file = text_of(code.attr("co_filename"));
    if (!file.starts_with(package_folder())) {
      return file + ":" + std::to_string(PyFrame_GetLineNumber(raw));
    }
    frame = nb::steal(reinterpret_cast<PyObject*>(PyFrame_GetBack(raw)));
  }
  return "";
}

}  // namespace

void bind_debug(nb::module_& m) {
  set_origin_source(&line_of_caller);
  m.def(
      "set_debug", [](bool nan_checks) { set_debug({.nan_checks = nan_checks}); }, nb::kw_only(),
      "nan_checks"_a,
      "With `nan_checks` on, the op that makes the first NaN fails: FloatingPointError, raised "
      "where\n"
      "a value that depends on it is asked for, names the op, shapes, dtypes and the line that "
      "built\n"
      "it. Ops run one by one meanwhile. NaN in data is nobody's failure, and infinities are not\n"
      "NaN. MLX_NAN_CHECKS=1 in the environment turns it on from the start.");
  m.def("_stream_count", [] { return get_streams().size(); });
}

}  // namespace mlx::python
