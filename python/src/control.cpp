// Control flow over trees: mx.cond, mx.while_loop and mx.scan.
#include "mlx/control.h"

#include "mlx/core/errors.h"
#include "python/src/convert.h"
#include "python/src/function.h"
#include "python/src/trees.h"

namespace mlx::python {

namespace {

/** Containers with values in them, arrays or numbers, apart from each other. */
class Tree {
 public:
  explicit Tree(nb::object containers) : containers_(std::move(containers)) {
    tree_visit(containers_, [this](nb::handle leaf) {
      if (is_value(leaf)) arrays_.push_back(value_of(leaf));
    });
  }

  const std::vector<array>& arrays() const { return arrays_; }

  /** The same containers with other values. */
  nb::object with(const std::vector<array>& arrays) const {
    size_t position = 0;
    return tree_map(containers_, [&](nb::handle leaf) {
      return is_value(leaf) ? nb::cast(arrays.at(position++)) : nb::borrow(leaf);
    });
  }

  /** The containers alone, to be compared. */
  nb::object form() const {
    return tree_map(containers_, [](nb::handle leaf) {
      return is_value(leaf) ? nb::object(nb::int_(0)) : nb::borrow(leaf);
    });
  }

  void check_form(const char* op, const Tree& other) const {
    nb::object a = form(), b = other.form();
    check(a.equal(b), op, "A function has to give the same containers as ", nb::repr(b).c_str(),
          ", not ", nb::repr(a).c_str(), ".");
  }

 private:
  static bool is_value(nb::handle leaf) {
    return as_array(leaf) || PyFloat_Check(leaf.ptr()) || PyLong_Check(leaf.ptr()) ||
           PyComplex_Check(leaf.ptr());
  }
  static array value_of(nb::handle leaf) {
    const array* a = as_array(leaf);
    return a ? *a : make_array(leaf);
  }

  nb::object containers_;
  std::vector<array> arrays_;
};

array flag_of(nb::handle value) {
  const array* a = as_array(value);
  return a ? *a : make_array(value);
}

nb::object cond_of_trees(nb::handle pred, const nb::object& true_fn, const nb::object& false_fn,
                         const nb::args& operands, StreamOrDevice s) {
  check_callable(true_fn, "cond");
  check_callable(false_fn, "cond");
  Tree in{nb::object(operands)};
  std::optional<Tree> first;
  auto branch = [&](const nb::object& fn) {
    return [&](const std::vector<array>& arrays) {
      Tree out(fn(*nb::borrow<nb::tuple>(in.with(arrays))));
      if (first) out.check_form("cond", *first);
      if (!first) first = out;
      return out.arrays();
    };
  };
  auto outputs = cond(flag_of(pred), branch(true_fn), branch(false_fn), in.arrays(), s);
  return first->with(outputs);
}

nb::object while_of_trees(const nb::object& cond_fn, const nb::object& body_fn,
                          const nb::object& init, StreamOrDevice s) {
  check_callable(cond_fn, "while_loop");
  check_callable(body_fn, "while_loop");
  Tree in(init);
  auto condition = [&](const std::vector<array>& arrays) {
    return flag_of(cond_fn(in.with(arrays)));
  };
  auto body = [&](const std::vector<array>& arrays) {
    Tree out(body_fn(in.with(arrays)));
    out.check_form("while_loop", in);
    return out.arrays();
  };
  return in.with(while_loop(condition, body, in.arrays(), s));
}

nb::object scan_of_trees(const nb::object& fn, const nb::object& init, const nb::object& xs,
                         std::optional<int> length, bool reverse, StreamOrDevice s) {
  check_callable(fn, "scan");
  Tree carry_in(init), x_in(xs);
  std::optional<Tree> collected;
  auto turn = [&](const std::vector<array>& carry, const std::vector<array>& x) {
    nb::object result = fn(carry_in.with(carry), x_in.with(x));
    check(PyTuple_Check(result.ptr()) && nb::len(result) == 2, "scan",
          "The function has to give a tuple of the carry and what is to be collected.");
    Tree next(result[0]);
    next.check_form("scan", carry_in);
    collected.emplace(nb::object(result[1]));
    return std::pair(next.arrays(), collected->arrays());
  };
  auto [last, all] = scan(turn, carry_in.arrays(), x_in.arrays(), length, reverse, s);
  return nb::make_tuple(carry_in.with(last), collected->with(all));
}

}  // namespace

void bind_control(nb::module_& m) {
  m.def("cond", cond_of_trees, "pred"_a, "true_fn"_a, "false_fn"_a, "operands"_a,
        "stream"_a = nb::none(),
        "`true_fn(*operands)` where the one element of `pred` is true, else "
        "`false_fn(*operands)`.\n\n"
        "Which one runs is decided when the result is evaluated, also in compiled, exported and\n"
        "differentiated functions. Both are traced once and have to give trees of the same form,\n"
        "shapes and dtypes. Mapped over `pred`, both run and each element is chosen.");
  m.def(
      "while_loop", while_of_trees, "cond_fn"_a, "body_fn"_a, "init"_a, "stream"_a = nb::none(),
      "`init`, a tree, after `body_fn` has been applied to it for as long as `cond_fn` is true of\n"
      "it.\n\n"
      "The body is traced once and keeps form, shapes and dtypes. The loop stays in the graph; "
      "its\n"
      "derivatives are forward ones (`jvp`) only. Mapped, it runs until all elements are done.");
  m.def(
      "scan", scan_of_trees, "fn"_a, "init"_a, "xs"_a = nb::none(), nb::kw_only(),
      "length"_a = nb::none(), "reverse"_a = false, "stream"_a = nb::none(),
      "`(carry, ys)` after `carry, y = fn(carry, x)` for each x along the first axis of `xs`, a\n"
      "tree of arrays, with all y stacked along a first axis.\n\n"
      "The function is traced once and keeps the carry's form, shapes and dtypes. `length` is the\n"
      "number of turns where `xs` is None; with `reverse` they go from the last element to the\n"
      "first. The loop stays in the graph and has all derivatives.");
}

}  // namespace mlx::python
