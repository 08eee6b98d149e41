// The op for Python. Arrays and streams are those of mlx.core, which has to be imported first.
#include <nanobind/nanobind.h>
#include <nanobind/stl/variant.h>

#include "soft_clip.h"

namespace nb = nanobind;
using namespace nb::literals;

NB_MODULE(_ext, m) {
  m.doc() = "An op in C++ for Python.";
  m.def("soft_clip", &soft_clip::soft_clip, "x"_a, "limit"_a, nb::kw_only(),
        "stream"_a = nb::none(), "limit * tanh(x / limit), in float32.");
}
