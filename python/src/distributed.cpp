// Groups of processes in Python, mlx.core.distributed.
#include "mlx/distributed/distributed.h"

#include "mlx/distributed/ops.h"
#include "python/src/def_op.h"
#include "python/src/function.h"

namespace mlx::python {

namespace {

using namespace distributed;

using MaybeGroup = std::optional<Group>;

void bind_group(nb::module_& m) {
  nb::class_<Group>(m, "Group", "The processes that compute together, seen by one of them.")
      .def("rank", &Group::rank, "This process's number in the group, from 0.")
      .def("size", &Group::size, "How many processes there are.")
      .def("split", &Group::split, "color"_a, "key"_a = -1,
           "The processes that pass the same color, ordered by `key`, or as they are if negative.");
  m.def(
       "is_available", [](const std::string& backend) { return is_available(backend); },
       "backend"_a = "any", "Whether a backend, or any, can connect processes.")
      .def(
          "init",
          [](bool strict, const std::string& backend, const nb::object& factory) {
            if (!factory.is_none()) check_callable(factory, "init");
            return init(strict, backend);
          },
          "strict"_a = false, "backend"_a = "any", nb::kw_only(),
          "all_gather_factory"_a = nb::none(),
          nb::sig("def init(strict: bool = False, backend: str = 'any', *, all_gather_factory: "
                  "collections.abc.Callable[[int, int], collections.abc.Callable[[bytes, int], "
                  "bytes]] | None = None) -> Group"),
          "The group of all processes, connected by 'mpi', 'nccl', 'jaccl', 'ring' or 'any' of\n"
          "them on the first call. This process alone where there is none, or RuntimeError if\n"
          "`strict`. 'jaccl' alone asks for an `all_gather_factory`.");
}

template <array (*op)(const array&, MaybeGroup, StreamOrDevice)>
void bind_collective(nb::module_& m, const char* name, const char* doc) {
  m.def(
      name, [](Operand x, MaybeGroup group, StreamOrDevice s) { return op(to_array(x), group, s); },
      "x"_a, nb::kw_only(), "group"_a = nb::none(), "stream"_a = nb::none(), doc);
}

void bind_messages(nb::module_& m) {
  m.def(
      "send",
      [](Operand x, int dst, MaybeGroup group, StreamOrDevice s) {
        return send(to_array(x), dst, group, s);
      },
      "x"_a, "dst"_a, nb::kw_only(), "group"_a = nb::none(), "stream"_a = nb::none(),
      "x, which goes to process `dst` when the result is evaluated.");
  m.def(
      "recv",
      [](const Ints& shape, Dtype dtype, int src, MaybeGroup group, StreamOrDevice s) {
        return recv(shape.shape(), dtype, src, group, s);
      },
      "shape"_a, "dtype"_a, "src"_a, nb::kw_only(), "group"_a = nb::none(), "stream"_a = nb::none(),
      "What process `src` sends.");
  m.def(
      "recv_like",
      [](Operand x, int src, MaybeGroup group, StreamOrDevice s) {
        return recv_like(to_array(x), src, group, s);
      },
      "x"_a, "src"_a, nb::kw_only(), "group"_a = nb::none(), "stream"_a = nb::none(),
      "What process `src` sends, of the shape and dtype of x.");
}

}  // namespace

void bind_distributed(nb::module_& parent) {
  auto m = parent.def_submodule("distributed", "Communication between processes.");
  bind_group(m);
  bind_collective<all_sum>(m, "all_sum", "The sum of all processes' arrays.");
  bind_collective<all_max>(m, "all_max", "The maximum of all processes' arrays by element.");
  bind_collective<all_min>(m, "all_min", "The minimum of all processes' arrays by element.");
  bind_collective<all_gather>(m, "all_gather",
                              "All processes' arrays, one after the other on the first axis.");
  bind_collective<sum_scatter>(m, "sum_scatter",
                               "The rows of the sum of all processes' arrays that are this one's.");
  bind_messages(m);
}

}  // namespace mlx::python
