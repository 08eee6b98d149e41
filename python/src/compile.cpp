// compile: Python functions traced once for each sort of call. What is no array in the arguments is
// part of the key; arrays that a function reads or changes beside them are captured as state.
#include "mlx/compile.h"

#include <memory>
#include <unordered_set>

#include "mlx/core/errors.h"
#include "mlx/transforms/compile_cache.h"
#include "python/src/compile_key.h"
#include "python/src/convert.h"
#include "python/src/function.h"
#include "python/src/gil.h"
#include "python/src/kept_call.h"
#include "python/src/random_state.h"
#include "python/src/trees.h"

namespace mlx::python {

namespace {

/** What captured containers held before a trace put its own arrays there. */
class Snapshot {
 public:
  explicit Snapshot(nb::handle tree) { save(tree); }

  /** Puts everything back, except in the containers whose addresses are in `kept`. */
  void restore(const std::unordered_set<PyObject*>& kept = {}) const {
    for (auto& [container, copy] : containers_) {
      if (kept.count(container.ptr())) {
        continue;
      }
      if (PyList_Check(container.ptr())) {
        PyList_SetSlice(container.ptr(), 0, PyList_GET_SIZE(container.ptr()), copy.ptr());
      } else if (is_random_state(container)) {
        RandomState::set_key(nb::cast<array>(copy));
      } else {
        PyDict_Clear(container.ptr());
        PyDict_Update(container.ptr(), copy.ptr());
      }
    }
    for (auto& [holder, value] : tuple_items_) {
      nb::inst_ptr<array>(holder)->overwrite_descriptor(value);
    }
  }

  static void collect(nb::handle tree, std::unordered_set<PyObject*>& containers) {
    TreeDepth guard;
    PyObject* p = tree.ptr();
    if (PyList_Check(p) || PyTuple_Check(p)) {
      containers.insert(p);
      for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(p); i++) {
        collect(PySequence_Fast_GET_ITEM(p, i), containers);
      }
    } else if (PyDict_Check(p)) {
      containers.insert(p);
      for_each_item(tree, [&](nb::handle, nb::handle value) { collect(value, containers); });
    } else if (is_random_state(tree)) {
      containers.insert(p);
    }
  }

 private:
  void save(nb::handle tree) {
    TreeDepth guard;
    PyObject* p = tree.ptr();
    if (PyList_Check(p)) {
      nb::object copy = nb::steal(PyList_GetSlice(p, 0, PY_SSIZE_T_MAX));
      containers_.emplace_back(nb::borrow(tree), copy);
      save_items(copy.ptr());
    } else if (PyTuple_Check(p)) {
      save_items(p);
    } else if (PyDict_Check(p)) {
      nb::object copy = nb::steal(PyDict_Copy(p));
      containers_.emplace_back(nb::borrow(tree), copy);
      for_each_item(copy, [&](nb::handle, nb::handle value) { save(value); });
    } else if (is_random_state(tree)) {
      containers_.emplace_back(nb::borrow(tree), nb::cast(RandomState::key()));
    }
  }

  void save_items(PyObject* sequence) {
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(sequence); i++) {
      nb::handle item = PySequence_Fast_GET_ITEM(sequence, i);
      if (PyTuple_Check(sequence) && as_array(item)) {
        tuple_items_.emplace_back(nb::borrow(item), *as_array(item));
      }
      save(item);
    }
  }

  std::vector<std::pair<nb::object, nb::object>> containers_;
  std::vector<std::pair<nb::object, array>> tuple_items_;
};

/** How the outputs of a trace go back into Python: what a trace carries as its note. */
struct Form {
  nb::object result;              // with any array in place of each array
  std::vector<nb::object> named;  // by the trace's key

  std::vector<nb::object*> references() {
    std::vector<nb::object*> held = {&result};
    for (auto& object : named) {
      held.push_back(&object);
    }
    return held;
  }
};

/** Traces may be dropped on any thread, while Python ends, and after that. */
void drop_form(Form* form) {
  if (Py_IsInitialized()) {
    Locked locked;
    delete form;
  } else if (PyGILState_GetThisThreadState() && PyGILState_Check()) {
    delete form;  // by the thread that takes Python's modules apart
  }
}

class Compiled : public Transformed {
 public:
  Compiled(nb::object fun, nb::object inputs, nb::object outputs, bool shapeless)
      : Transformed(std::move(fun)),
        state_in_(std::move(inputs)),
        state_out_(std::move(outputs)),
        shapeless_(shapeless) {}

  ~Compiled() override { mlx::core::detail::erase_compiled(id()); }

  std::vector<nb::object*> references() override {
    std::vector<nb::object*> held = {&fun_, &state_in_, &state_out_};
    mlx::core::detail::visit_notes(id(), [&](void* note) {
      auto more = static_cast<Form*>(note)->references();
      held.insert(held.end(), more.begin(), more.end());
    });
    mlx::core::detail::visit_calls(id(),
                                   [&](const void* kept) { held.push_back(kept_reference(kept)); });
    return held;
  }

  nb::object call(const nb::args& args, const nb::kwargs& kwargs) override {
    if (!mlx::core::detail::compile_enabled()) {
      return call_with(fun_, args, kwargs);
    }
    KeyWriter writer;
    writer.add(args);
    writer.add(kwargs);
    auto inputs = std::move(writer.arrays());
    size_t own = inputs.size();
    if (!state_in_.is_none()) {
      auto captured = tree_arrays(state_in_);
      inputs.insert(inputs.end(), captured.begin(), captured.end());
    }
    std::optional<Snapshot> snapshot;
    auto trace = [&](const std::vector<array>& arrays, mlx::core::detail::TraceNote& note) {
      snapshot.emplace(state_in_);
      std::shared_ptr<Form> form(new Form{{}, std::move(writer.named())}, drop_form);
      auto outputs = run_traced(args, kwargs, arrays, own, *snapshot, *form);
      note = std::move(form);
      return outputs;
    };
    try {
      auto [outputs, note] = mlx::core::detail::call_compiled(trace, id(), shapeless_,
                                                              std::move(writer.key()), inputs);
      return finish(*static_cast<Form*>(note.get()), outputs);
    } catch (...) {
      if (snapshot) {
        snapshot->restore();
      }
      throw;
    }
  }

 private:
  std::uintptr_t id() const { return reinterpret_cast<std::uintptr_t>(this); }

  std::vector<array> run_traced(const nb::args& args, const nb::kwargs& kwargs,
                                const std::vector<array>& arrays, size_t own,
                                const Snapshot& snapshot, Form& form) {
    size_t position = 0;
    nb::object traced_args = tree_fill(args, arrays, position);
    nb::object traced_kwargs = tree_fill(kwargs, arrays, position);
    position = own;
    if (!state_in_.is_none()) {
      tree_update(state_in_, arrays, position);
    }
    nb::object result = call_with(fun_, traced_args, traced_kwargs);
    auto outputs = tree_arrays(result);
    std::unordered_set<PyObject*> kept;
    if (!state_out_.is_none()) {
      auto changed = tree_arrays(state_out_);
      outputs.insert(outputs.end(), changed.begin(), changed.end());
      Snapshot::collect(state_out_, kept);
    }
    snapshot.restore(kept);
    nb::object empty = nb::cast(array(0));
    form.result =
        tree_map(result, [&](nb::handle h) { return as_array(h) ? empty : nb::borrow(h); });
    return outputs;
  }

  nb::object finish(const Form& form, const std::vector<array>& outputs) {
    size_t position = 0;
    nb::object result = tree_fill(form.result, outputs, position);
    if (!state_out_.is_none()) {
      tree_update(state_out_, outputs, position);
    }
    return result;
  }

  nb::object state_in_;
  nb::object state_out_;
  bool shapeless_;
};

/** What `disable_compile()` returns: already in force, undone at the end of a `with` block. */
class CompileMode {
 public:
  explicit CompileMode(bool enabled) : former_(mlx::core::detail::compile_enabled()) {
    set(enabled);
  }
  void undo() const { set(former_); }

 private:
  static void set(bool enabled) { enabled ? enable_compile() : disable_compile(); }
  bool former_;
};

}  // namespace

void bind_compile(nb::module_& m) {
  m.def(
      "compile",
      [](nb::object fun, nb::object inputs, nb::object outputs, bool shapeless) {
        check_callable(fun, "compile");
        return make_transformed<Compiled>(std::move(fun), std::move(inputs), std::move(outputs),
                                          shapeless);
      },
      "fun"_a, "inputs"_a = nb::none(), "outputs"_a = nb::none(), "shapeless"_a = false,
      nb::sig("def compile(fun: collections.abc.Callable, inputs: object | None = None, "
              "outputs: object | None = None, shapeless: bool = False) -> "
              "collections.abc.Callable"),
      "A function that traces `fun` on its first call for given shapes, dtypes and constants, and\n"
      "afterwards replays the simplified graph. `inputs` and `outputs` are containers (lists,\n"
      "dicts, modules, `random.state`) with arrays that `fun` reads or changes beside its\n"
      "arguments. With `shapeless` a trace serves other shapes, too, if `fun` is traced to the "
      "same\n"
      "graph at the second one and never asks for an extent; otherwise each shape has its own.");
  nb::class_<CompileMode>(m, "CompileMode", "Whether compiled functions are traced.")
      .def("__enter__", [](nb::handle self) { return nb::borrow(self); })
      .def(
          "__exit__",
          [](const CompileMode& self, nb::handle, nb::handle, nb::handle) { self.undo(); },
          "exc_type"_a = nb::none(), "exc_value"_a = nb::none(), "traceback"_a = nb::none());
  m.def("compile_cache_size", &mlx::core::detail::count_compiled,
        "The number of traces that compiled functions keep: each keeps its most recently used\n"
        "ones, at most 512.");
  m.def("clear_compile_cache", &mlx::core::detail::clear_compiled,
        "Forgets all traces; compiled functions trace again when they are called.");
  m.def(
      "disable_compile", []() { return CompileMode(false); },
      "Compiled functions run as they were written from now on, or inside a `with` block.");
  m.def(
      "enable_compile", []() { return CompileMode(true); },
      "Compiled functions are traced again from now on, or inside a `with` block.");
}

}  // namespace mlx::python
