// What mlx/profiler.py is made of: steps as dictionaries.
#include "mlx/profiler.h"

#include "mlx/core/origins.h"
#include "mlx/plans.h"
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

}  // namespace

void bind_profiler(nb::module_& m) {
  m.def(
      "_start_recording",
      [](bool lines) {
        profiler::start();
        if (lines) begin_origins();
      },
      "lines"_a);
  m.def(
      "_stop_recording",
      [](bool lines) {
        std::vector<profiler::Step> steps;
        try {
          nb::gil_scoped_release release;
          steps = profiler::stop();
        } catch (...) {
          if (lines) end_origins();
          throw;
        }
        if (lines) end_origins();
        nb::list list;
        for (auto& step : steps) {
          list.append(describe(step));
        }
        return list;
      },
      "lines"_a);
  m.def("_plan_cache", [] {
    PlanCacheInfo info = plan_cache_info();
    nb::dict facts;
    facts["plans"] = info.plans;
    facts["nodes"] = info.nodes;
    facts["made"] = info.made;
    return facts;
  });
  m.def("_clear_plan_cache", &clear_plan_cache);
  m.def("_set_plan_cache_limit", &set_plan_cache_limit, "nodes"_a);
}

}  // namespace mlx::python
