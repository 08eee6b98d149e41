// custom_function and checkpoint: Python functions with derivative rules of their own.
#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"
#include "python/src/axes.h"
#include "python/src/convert.h"
#include "python/src/function.h"
#include "python/src/gil.h"
#include "python/src/trees.h"

namespace mlx::python {

namespace {

using Arrays = std::vector<array>;

/** The arrays that a rule returned; None stands for no gradient. */
Arrays rule_result(nb::handle result, const Arrays& like, const char* rule) {
  Arrays out;
  tree_visit(result, [&](nb::handle leaf) {
    size_t i = out.size();
    check(i < like.size(), "custom_function", "The ", rule, " rule returned more than the ",
          like.size(), " arrays that it should.");
    auto* a = as_array(leaf);
    check(a || leaf.is_none(), "custom_function", "The ", rule, " rule must return arrays, got a ",
          Py_TYPE(leaf.ptr())->tp_name, ".");
    out.push_back(a ? *a : zeros_like(like[i]));
  });
  return out;
}

/** The object behind mx.custom_function. */
class CustomFunction {
 public:
  CustomFunction(nb::object fun, nb::object vjp, nb::object jvp, nb::object vmap)
      : fun_(std::move(fun)), vjp_(std::move(vjp)), jvp_(std::move(jvp)), vmap_(std::move(vmap)) {}

  std::vector<nb::object*> references() { return {&fun_, &vjp_, &jvp_, &vmap_}; }

  nb::object set_vjp(nb::object f) { return vjp_ = checked(std::move(f)); }
  nb::object set_jvp(nb::object f) { return jvp_ = checked(std::move(f)); }
  nb::object set_vmap(nb::object f) { return vmap_ = checked(std::move(f)); }

  nb::object call(const nb::args& args, const nb::kwargs& kwargs) const {
    check(fun_.is_valid(), "custom_function", "The function is no more.");
    if (vjp_.is_none() && jvp_.is_none() && vmap_.is_none()) {
      return call_with(fun_, args, kwargs);
    }
    auto flat = std::make_shared<FlatCall>(fun_, args, kwargs);
    flat->vjp = vjp_;
    flat->jvp = jvp_;
    flat->vmap = vmap_;
    auto outputs = custom_function(FlatCall::Run{flat}, vjp_rule(flat), jvp_rule(flat),
                                   vmap_rule(flat))(flat->inputs());
    FlatCall::note_holders(flat);
    return flat->result(outputs);
  }

 private:
  using Flat = std::shared_ptr<FlatCall>;
  using VjpRule = std::function<Arrays(const Arrays&, const Arrays&, const Arrays&)>;
  using JvpRule = std::function<Arrays(const Arrays&, const Arrays&, const std::vector<int>&)>;
  using VmapRule =
      std::function<std::pair<Arrays, std::vector<int>>(const Arrays&, const std::vector<int>&)>;

  static nb::object checked(nb::object f) {
    check_callable(f, "custom_function");
    return f;
  }

  std::optional<VjpRule> vjp_rule(const Flat& flat) const {
    if (vjp_.is_none()) {
      return std::nullopt;
    }
    return [flat](const Arrays& primals, const Arrays& cotangents, const Arrays& outputs) {
      Locked locked;
      nb::object made = call_python(flat->vjp, flat->primals(primals), flat->result(cotangents),
                                    flat->result(outputs));
      Arrays grads = rule_result(made, primals, "vjp");
      check(grads.size() >= flat->positional(), "custom_function", "The vjp rule returned ",
            grads.size(), " arrays for ", flat->positional(), " arguments.");
      for (size_t i = grads.size(); i < primals.size(); i++) {
        grads.push_back(zeros_like(primals[i]));
      }
      return grads;
    };
  }

  std::optional<JvpRule> jvp_rule(const Flat& flat) const {
    if (jvp_.is_none()) {
      return std::nullopt;
    }
    return [flat](const Arrays& primals, const Arrays& tangents, const std::vector<int>& argnums) {
      Locked locked;
      std::vector<nb::object> directions(primals.size(), nb::none());
      for (size_t i = 0; i < argnums.size(); i++) {
        directions[argnums[i]] = nb::cast(tangents[i]);
      }
      nb::object made = call_python(flat->jvp, flat->primals(primals),
                                    flat->primals_like([&](size_t i) { return directions[i]; }));
      Arrays like = tree_arrays(flat->first_result());
      Arrays out = rule_result(made, like, "jvp");
      check(out.size() == like.size(), "custom_function", "The jvp rule returned ", out.size(),
            " arrays for ", like.size(), " outputs.");
      return out;
    };
  }

  std::optional<VmapRule> vmap_rule(const Flat& flat) const {
    if (vmap_.is_none()) {
      return std::nullopt;
    }
    return [flat](const Arrays& inputs, const std::vector<int>& axes) {
      Locked locked;
      nb::object axes_tree = flat->primals_like(
          [&](size_t i) { return axes[i] < 0 ? nb::none() : nb::object(nb::int_(axes[i])); });
      nb::object made = call_python(flat->vmap, flat->primals(inputs), axes_tree);
      check(PyTuple_Check(made.ptr()) && nb::len(made) == 2, "custom_function",
            "The vmap rule must return the outputs and their axes.");
      nb::object outputs = made[0];
      nb::object out_axes = made[1];
      return std::pair(tree_arrays_only(outputs, "custom_function"),
                       flatten_axes(outputs, out_axes, "custom_function", 0));
    };
  }

  nb::object fun_;
  nb::object vjp_;
  nb::object jvp_;
  nb::object vmap_;
};

class Checkpoint : public Transformed {
 public:
  using Transformed::Transformed;

  nb::object call(const nb::args& args, const nb::kwargs& kwargs) override {
    auto flat = std::make_shared<FlatCall>(fun_, args, kwargs);
    auto outputs = checkpoint(FlatCall::Run{flat})(flat->inputs());
    FlatCall::note_holders(flat);
    return flat->result(outputs);
  }
};

}  // namespace

void bind_custom_function(nb::module_& m) {
  nb::class_<CustomFunction>(
      m, "custom_function", nb::type_slots(collector_slots<CustomFunction>),
      nb::is_weak_referenceable(),
      "A function with rules of its own for transforms, given by keyword or by the decorators\n"
      "`@f.vjp`, `@f.jvp` and `@f.vmap`. Rules get the arguments as one value if there is one, as\n"
      "a tuple if there are several: vjp(primals, cotangents, outputs), jvp(primals, tangents),\n"
      "vmap(inputs, axes) -> (outputs, out_axes).")
      .def(nb::init<nb::object, nb::object, nb::object, nb::object>(), "f"_a,
           "fun_vjp"_a = nb::none(), "fun_jvp"_a = nb::none(), "fun_vmap"_a = nb::none())
      .def("__call__", &CustomFunction::call)
      .def("vjp", &CustomFunction::set_vjp, "f"_a, "Sets the rule for gradients.")
      .def("jvp", &CustomFunction::set_jvp, "f"_a, "Sets the rule for directional derivatives.")
      .def("vmap", &CustomFunction::set_vmap, "f"_a, "Sets the rule for batches.");
  m.def(
      "checkpoint",
      [](nb::object fun) {
        check_callable(fun, "checkpoint");
        return make_transformed<Checkpoint>(std::move(fun));
      },
      "fun"_a, nb::sig("def checkpoint(fun: collections.abc.Callable) -> collections.abc.Callable"),
      "`fun`, whose intermediate results are computed again for the gradient instead of kept.");
}

}  // namespace mlx::python
