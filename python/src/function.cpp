// The Python class of transformed functions, and calls over flat arrays.
#include "python/src/function.h"

#include "mlx/core/errors.h"
#include "python/src/convert.h"
#include "python/src/gil.h"
#include "python/src/trees.h"

namespace mlx::python {

void check_callable(nb::handle fun, const char* op) {
  if (!PyCallable_Check(fun.ptr())) {
    throw nb::type_error((std::string(op) + "() takes a function to transform.").c_str());
  }
}

FlatCall::FlatCall(nb::object fun, const nb::args& args, const nb::kwargs& kwargs)
    : fun_(std::move(fun)), args_(args), kwargs_(kwargs), inputs_(tree_arrays(args)) {
  positional_ = inputs_.size();
  auto named = tree_arrays(kwargs);
  inputs_.insert(inputs_.end(), named.begin(), named.end());
}

FlatCall::~FlatCall() {
  for (auto* held : {&fun_, &args_, &kwargs_, &result_, &vjp, &jvp, &vmap}) {
    drop_reference(std::move(*held));
  }
}

std::vector<nb::object*> FlatCall::references(
    const std::function<std::vector<array>(const std::vector<array>&)>& fun) {
  auto* run = fun.target<Run>();
  if (!run || run->flat.use_count() != run->flat->holders_) {
    return {};
  }
  auto& flat = *run->flat;
  return {&flat.fun_, &flat.args_, &flat.kwargs_, &flat.result_, &flat.vjp, &flat.jvp, &flat.vmap};
}

std::vector<array> FlatCall::operator()(const std::vector<array>& arrays) {
  Locked locked;
  size_t position = 0;
  nb::object args = tree_fill(args_, arrays, position);
  nb::object kwargs = tree_fill(kwargs_, arrays, position);
  nb::object result = call_with(fun_, args, kwargs);
  if (!result_.is_valid()) {
    result_ = result;  // a later one may come from a graph that holds this call: a circle
  }
  return tree_arrays(result);
}

nb::object FlatCall::primals(const std::vector<array>& arrays) const {
  return primals_like([&](size_t i) { return nb::cast(arrays.at(i)); });
}

nb::object FlatCall::primals_like(const std::function<nb::object(size_t)>& leaf) const {
  size_t position = 0;
  nb::object all =
      tree_map(args_, [&](nb::handle h) { return as_array(h) ? leaf(position++) : nb::borrow(h); });
  return nb::len(all) == 1 ? nb::object(all[0]) : all;
}

nb::object FlatCall::result(const std::vector<array>& arrays) const {
  size_t position = 0;
  return tree_fill(result_, arrays, position);
}

namespace {

/** What a transformed function is, unless the collector took it apart before a finalizer asked. */
Transformed& body_of(const TransformedFunction& self) {
  check(self.body && self.body->fun().is_valid(), "transform", "The function is no more.");
  return *self.body;
}

}  // namespace

void bind_transformed_function(nb::module_& m) {
  nb::class_<TransformedFunction>(
      m, "TransformedFunction", nb::type_slots(collector_slots<TransformedFunction>),
      nb::is_weak_referenceable(), "A function made by a transform such as `grad` or `compile`.")
      .def("__call__", [](TransformedFunction& self, const nb::args& args,
                          const nb::kwargs& kwargs) { return body_of(self).call(args, kwargs); })
      .def_prop_ro("__doc__",
                   [](const TransformedFunction& self) {
                     return body_of(self).fun().attr("__doc__").operator nb::object();
                   })
      .def_prop_ro("__wrapped__",
                   [](const TransformedFunction& self) { return body_of(self).fun(); })
      .def("__getattr__", [](const TransformedFunction& self, const char* name) {
        return body_of(self).fun().attr(name).operator nb::object();
      });
}

}  // namespace mlx::python
