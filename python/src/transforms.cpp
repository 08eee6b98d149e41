// eval, grad, vjp, jvp and vmap over trees of Python containers.
#include "mlx/transforms.h"

#include <algorithm>
#include <optional>

#include "mlx/core/errors.h"
#include "mlx/core/tracing.h"
#include "mlx/transforms/vmap.h"
#include "python/src/convert.h"
#include "python/src/function.h"
#include "python/src/gil.h"
#include "python/src/placed.h"
#include "python/src/trees.h"

namespace mlx::python {

namespace {

// ------------------------------------------------------------------ eval

nb::object eval_trees(const nb::args& args) {
  eval_unlocked(tree_arrays(args));
  if (args.size() == 0) {
    return nb::none();
  }
  return args.size() == 1 ? nb::object(args[0]) : nb::object(args);
}

void async_eval_trees(const nb::args& args) {
  auto arrays = tree_arrays(args);
  for (auto& a : arrays) {
    check(!a.is_tracer(), "async_eval", "Not allowed inside a transformation of functions.");
  }
  Unlocked unlocked;
  async_eval(std::move(arrays));
}

// ------------------------------------------------------------------ grad

/** A module stands for its trainable parameters. */
bool is_module(nb::handle h) {
  return PyDict_Check(h.ptr()) && nb::hasattr(h, "trainable_parameters") &&
         nb::hasattr(h, "update");
}

/** One argument that is differentiated: a tree of arrays, or a module. */
class Variable {
 public:
  Variable(nb::object value, const char* op)
      : value_(std::move(value)),
        module_(is_module(value_)),
        tree_(module_ ? call_python(value_.attr("trainable_parameters")) : value_),
        arrays_(tree_arrays_only(tree_, op)) {}

  const std::vector<array>& arrays() const { return arrays_; }

  /** What to pass to the function: the module itself, with its parameters replaced. */
  nb::object with(const std::vector<array>& all, size_t& position) {
    placed_.emplace(tree_, all, position);
    if (!module_) {
      return placed_->copy();
    }
    call_python(value_.attr("update"), placed_->copy());
    return value_;
  }

  nb::object like(const std::vector<array>& all, size_t& position) const {
    return tree_fill(tree_, all, position);
  }

  /** Puts back what was there, but for what the function put in its place. */
  void restore() const {
    if (placed_ && module_) {
      call_python(value_.attr("update"), placed_->with_changes(value_));
    } else if (placed_) {
      placed_->give_back();
    }
  }

 private:
  nb::object value_;
  bool module_;
  nb::object tree_;
  std::vector<array> arrays_;
  std::optional<PlacedTree> placed_;
};

/** Puts arguments back as they were, also when the function fails. */
class RestoreArguments {
 public:
  explicit RestoreArguments(const std::vector<Variable>& variables) : variables_(variables) {}
  ~RestoreArguments() {
    nb::error_scope keep;
    for (auto& v : variables_) {
      try {
        v.restore();
      } catch (nb::python_error& e) {
        e.discard_as_unraisable("restoring the arguments of a differentiated function");
      } catch (const std::exception& e) {
        PyErr_SetString(PyExc_RuntimeError, e.what());
        PyErr_WriteUnraisable(nullptr);
      }
    }
  }
  RestoreArguments(const RestoreArguments&) = delete;
  RestoreArguments& operator=(const RestoreArguments&) = delete;

 private:
  const std::vector<Variable>& variables_;
};

struct GradOptions {
  const char* op;
  std::vector<int> argnums;
  std::vector<std::string> argnames;
  /** Differentiate these parameters instead of arguments. */
  nb::object module;
  bool with_value;
};

class Grad : public Transformed {
 public:
  Grad(nb::object fun, GradOptions options)
      : Transformed(std::move(fun)), options_(std::move(options)) {}

  std::vector<nb::object*> references() override { return {&fun_, &options_.module}; }

  nb::object call(const nb::args& args, const nb::kwargs& kwargs) override {
    auto variables = list_variables(args, kwargs);
    std::vector<array> flat;
    for (auto& v : variables) {
      flat.insert(flat.end(), v.arrays().begin(), v.arrays().end());
    }
    check(!flat.empty(), options_.op, "There are no arrays to differentiate.");
    std::vector<int> all(flat.size());
    for (size_t i = 0; i < all.size(); i++) {
      all[i] = static_cast<int>(i);
    }
    nb::object result;
    auto run = [&](const std::vector<array>& arrays) {
      result = call_at(variables, args, kwargs, arrays);
      return result_arrays(result);
    };
    RestoreArguments restore(variables);
    auto [values, grads] = value_and_grad(run, all)(flat);
    nb::object gradient = arrange(variables, grads);
    if (!options_.with_value) {
      return gradient;
    }
    size_t position = 0;
    return nb::make_tuple(tree_fill(result, values, position), gradient);
  }

 private:
  std::vector<Variable> list_variables(const nb::args& args, const nb::kwargs& kwargs) const {
    std::vector<Variable> out;
    if (options_.module) {
      out.emplace_back(options_.module, options_.op);
      return out;
    }
    for (int i : options_.argnums) {
      check(static_cast<size_t>(i) < args.size(), options_.op, "Argument number ", i,
            " is out of range: the function is called with ", args.size(),
            " positional arguments.");
      out.emplace_back(args[i], options_.op);
    }
    for (auto& name : options_.argnames) {
      check(kwargs.contains(name.c_str()), options_.op, "There is no keyword argument '", name,
            "' in the call.");
      out.emplace_back(kwargs[name.c_str()], options_.op);
    }
    return out;
  }

  nb::object call_at(std::vector<Variable>& variables, const nb::args& args,
                     const nb::kwargs& kwargs, const std::vector<array>& arrays) const {
    size_t position = 0;
    if (options_.module) {
      variables[0].with(arrays, position);
      return call_with(fun_, args, kwargs);
    }
    nb::list positional(args);
    nb::dict named;
    for (auto item : kwargs) {
      named[item.first] = item.second;
    }
    size_t next = 0;
    for (int i : options_.argnums) {
      positional[i] = variables[next++].with(arrays, position);
    }
    for (auto& name : options_.argnames) {
      named[name.c_str()] = variables[next++].with(arrays, position);
    }
    return call_with(fun_, nb::tuple(positional), named);
  }

  /** The value first, then all other arrays of the result. */
  std::vector<array> result_arrays(nb::handle result) const {
    bool is_value = as_array(result);
    bool has_value = options_.with_value && PyTuple_Check(result.ptr()) && nb::len(result) > 0 &&
                     as_array(nb::object(result[0]));
    check(is_value || has_value, options_.op, "The function to differentiate must return a scalar ",
          "array", options_.with_value ? " or a tuple that starts with one" : "", ", but returned ",
          Py_TYPE(result.ptr())->tp_name, ".");
    return tree_arrays(result);
  }

  nb::object arrange(const std::vector<Variable>& variables,
                     const std::vector<array>& grads) const {
    size_t position = 0;
    size_t next = 0;
    if (options_.module) {
      return variables[0].like(grads, position);
    }
    nb::list positional;
    for (size_t i = 0; i < options_.argnums.size(); i++) {
      positional.append(variables[next++].like(grads, position));
    }
    nb::object first = nb::none();
    if (positional.size() > 0) {
      first =
          positional.size() == 1 ? nb::object(positional[0]) : nb::object(nb::tuple(positional));
    }
    if (options_.argnames.empty()) {
      return first;
    }
    nb::dict named;
    for (auto& name : options_.argnames) {
      named[name.c_str()] = variables[next++].like(grads, position);
    }
    return nb::make_tuple(first, named);
  }

  GradOptions options_;
};

std::vector<std::string> read_names(nb::handle argnames) {
  if (nb::isinstance<nb::str>(argnames)) {
    return {nb::cast<std::string>(argnames)};
  }
  return nb::cast<std::vector<std::string>>(argnames);
}

nb::object make_grad(const char* op, nb::object fun, nb::handle argnums, nb::handle argnames,
                     bool with_value) {
  GradOptions options{op, {}, {}, {}, with_value};
  if (is_module(fun) && !argnums.is_none() && PyCallable_Check(argnums.ptr())) {
    options.module = fun;
    return make_transformed<Grad>(nb::borrow(argnums), std::move(options));
  }
  check_callable(fun, op);
  options.argnames = read_names(argnames);
  Axes chosen;
  nb::detail::make_caster<Axes> caster;
  if (!caster.from_python(argnums, 0, nullptr)) {
    throw nb::type_error(
        (std::string(op) + "() takes argnums as an int or a sequence of ints.").c_str());
  }
  options.argnums = static_cast<Axes&>(caster).values;
  if (argnums.is_none() && options.argnames.empty()) {
    options.argnums = {0};
  }
  auto sorted = options.argnums;
  std::sort(sorted.begin(), sorted.end());
  check(sorted.empty() || sorted[0] >= 0, op, "Argument numbers must not be negative.");
  check(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(), op,
        "Argument numbers must differ.");
  return make_transformed<Grad>(std::move(fun), std::move(options));
}

void bind_grad(nb::module_& m) {
  m.def(
      "grad",
      [](nb::object fun, nb::handle argnums, nb::handle argnames) {
        return make_grad("grad", std::move(fun), argnums, argnames, false);
      },
      "fun"_a, "argnums"_a = nb::none(), "argnames"_a = nb::list(),
      nb::sig("def grad(fun: collections.abc.Callable, argnums: int | "
              "collections.abc.Sequence[int] | None = None, argnames: str | "
              "collections.abc.Sequence[str] = []) -> collections.abc.Callable"),
      "A function that computes the gradient of `fun`, which must return a scalar array.\n"
      "`argnums` (by default 0) and `argnames` choose the arguments: trees of arrays, or modules,\n"
      "which stand for their trainable parameters. Several argnums give a tuple; with `argnames`\n"
      "the result is a pair of that and a dict.");
  m.def(
      "value_and_grad",
      [](nb::object fun, nb::handle argnums, nb::handle argnames) {
        return make_grad("value_and_grad", std::move(fun), argnums, argnames, true);
      },
      "fun"_a, "argnums"_a = nb::none(), "argnames"_a = nb::list(),
      nb::sig("def value_and_grad(fun: collections.abc.Callable, argnums: int | "
              "collections.abc.Sequence[int] | collections.abc.Callable | None = None, "
              "argnames: str | collections.abc.Sequence[str] = []) -> collections.abc.Callable"),
      "As `grad`, but the result is a pair of the value of `fun` and the gradient. `fun` may also\n"
      "return a tuple that starts with the scalar. `value_and_grad(model, fun)` differentiates\n"
      "`fun` with respect to the trainable parameters of a module.");
}

// ------------------------------------------------------------------ vjp and jvp

auto flat_function(nb::handle fun, const char* op) {
  return [fun, op](const std::vector<array>& arrays) {
    nb::tuple args(nb::cast(arrays));
    nb::object result = call_with(fun, args);
    if (auto* a = as_array(result)) {
      return std::vector<array>{*a};
    }
    check(PyList_Check(result.ptr()) || PyTuple_Check(result.ptr()), op,
          "The function must return an array or a sequence of arrays.");
    return tree_arrays_only(result, op);
  };
}

void bind_products(nb::module_& m) {
  m.def(
      "vjp",
      [](nb::handle fun, const Arrays& primals, const Arrays& cotangents) {
        check_callable(fun, "vjp");
        return vjp(flat_function(fun, "vjp"), primals.values, cotangents.values);
      },
      "fun"_a, "primals"_a, "cotangents"_a,
      "The outputs of `fun` at `primals`, and the products of `cotangents` (one per output) with\n"
      "its Jacobian: two lists of arrays.");
  m.def(
      "jvp",
      [](nb::handle fun, const Arrays& primals, const Arrays& tangents) {
        check_callable(fun, "jvp");
        return jvp(flat_function(fun, "jvp"), primals.values, tangents.values);
      },
      "fun"_a, "primals"_a, "tangents"_a,
      "The outputs of `fun` at `primals`, and their derivatives along `tangents` (one per\n"
      "primal): two lists of arrays.");
}

}  // namespace

void bind_transforms(nb::module_& m) {
  bind_transformed_function(m);
  m.def("eval", &eval_trees,
        "Computes all arrays in the given trees and returns what it was given: one argument as it\n"
        "is, several as a tuple.");
  m.def("async_eval", &async_eval_trees,
        "Starts to compute all arrays in the given trees and returns at once; reading a value\n"
        "waits for it.");
  bind_grad(m);
  bind_products(m);
  bind_vmap(m);
}

}  // namespace mlx::python
