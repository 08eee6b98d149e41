// The loop of recurrent layers, for mlx.nn alone: its name starts with an underscore.
#include "mlx/ops/recurrent.h"

#include "python/src/def_op.h"

namespace mlx::python {

void bind_recurrent(nb::module_& m) {
  m.def("_recurrent", &detail::recurrent, "kind"_a, "projections"_a, "weight"_a,
        "bias"_a = nb::none(), "hidden"_a = nb::none(), "cell"_a = nb::none(), nb::kw_only(),
        "stream"_a = nb::none(),
        "All states of a recurrent layer over projected inputs (..., L, gates H): the hidden ones\n"
        "(..., L, H), and for 'lstm' the cells.");
}

}  // namespace mlx::python
