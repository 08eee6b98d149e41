// What mlx/profiler.py is made of: steps as dictionaries, and lines of the user's program.
#include "mlx/profiler.h"

#include "mlx/core/origins.h"
#include "python/src/bindings.h"

namespace mlx::python {

namespace {

nb::list describe(const std::vector<profiler::Tensor>& tensors) {
  nb::list list;
  for (auto& tensor : tensors) {
    list.append(nb::make_tuple(nb::tuple(nb::cast(tensor.shape)), tensor.dtype));
  }
  return list;
}

nb::dict describe(const profiler::Step& step) {
  nb::dict facts;
  facts["ops"] = nb::cast(step.ops);
  facts["inputs"] = describe(step.inputs);
  facts["outputs"] = describe(step.outputs);
  facts["bytes"] = step.bytes;
  facts["operations"] = step.operations;
  facts["start"] = step.start;
  facts["duration"] = step.duration;
  facts["stream"] = step.stream;
  facts["thread"] = step.thread;
  facts["line"] = step.origin;
  return facts;
}

/** Folder of this package, whose own lines are nobody's program. */
std::string& package_folder() {
  static auto* folder = new std::string;
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
    std::string file = nb::cast<std::string>(code.attr("co_filename"));
    if (!file.starts_with(package_folder())) {
      return file + ":" + std::to_string(PyFrame_GetLineNumber(raw));
    }
    frame = nb::steal(reinterpret_cast<PyObject*>(PyFrame_GetBack(raw)));
  }
  return "";
}

}  // namespace

void bind_profiler(nb::module_& m) {
  m.def(
      "_start_recording",
      [](const std::string& folder, bool lines) {
        package_folder() = folder;
        profiler::start();
        set_origin_source(lines ? &line_of_caller : nullptr);
      },
      "folder"_a, "lines"_a);
  m.def("_stop_recording", [] {
    std::vector<profiler::Step> steps;
    {
      nb::gil_scoped_release release;
      steps = profiler::stop();
    }
    set_origin_source(nullptr);
    nb::list list;
    for (auto& step : steps) {
      list.append(describe(step));
    }
    return list;
  });
}

}  // namespace mlx::python
