// Pooling, for mlx.nn alone: its name starts with an underscore.
#include "mlx/ops/pool.h"

#include "python/src/def_op.h"

namespace mlx::python {

void bind_pool(nb::module_& m) {
  m.def("_pool", &detail::pool, "x"_a, "kind"_a, "kernel"_a, "stride"_a, "padding"_a, nb::kw_only(),
        "stream"_a = nb::none(),
        "The maximum ('max') or mean ('mean') of each window of x (n, spatial..., c).");
}

}  // namespace mlx::python
