// Batch normalisation while training, for mlx.nn alone: its name starts with an underscore.
#include "mlx/ops/batch_norm.h"

#include "python/src/def_op.h"

namespace mlx::python {

void bind_batch_norm(nb::module_& m) {
  m.def("_batch_norm", &detail::batch_norm, "x"_a, "weight"_a.none(), "bias"_a.none(), "eps"_a,
        nb::kw_only(), "stream"_a = nb::none(),
        "x (..., c) normalised channel by channel, and the mean and variance (c) of each.");
}

}  // namespace mlx::python
