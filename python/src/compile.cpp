// compile: Python functions traced once for each sort of call. What is no array in the arguments is
// part of the key; arrays that a function reads or changes beside them are captured as state.
#include "mlx/compile.h"

#include <bit>
#include <cstring>
#include <memory>
#include <unordered_set>

#include "mlx/core/errors.h"
#include "mlx/transforms/compile_cache.h"
#include "python/src/convert.h"
#include "python/src/function.h"
#include "python/src/gil.h"
#include "python/src/random_state.h"
#include "python/src/trees.h"

namespace mlx::python {

namespace {

using Key = std::vector<uint64_t>;

/**
 * Everything about arguments that a trace depends on, as words; arrays are set apart. Constants of
 * different type differ even if they are equal, and so do the zeros and NaNs of floats: a function
 * may tell them apart. Runs no Python code, so nothing changes while it reads.
 */
class KeyWriter {
 public:
  void add(nb::handle h) {
    PyObject* p = h.ptr();
    if (auto* a = as_array(h)) {
      key_.push_back(tag_array);
      arrays_.push_back(*a);
    } else if (PyTuple_Check(p)) {
      add_sequence(p, tag_tuple, PyTuple_CheckExact(p));
    } else if (PyList_Check(p)) {
      add_sequence(p, tag_list, PyList_CheckExact(p));
    } else if (PyDict_Check(p)) {
      add_dict(p);
    } else if (is_random_state(h)) {
      push(tag_list, 1);
      key_.push_back(tag_array);
      arrays_.push_back(RandomState::key());
    } else {
      add_constant(h);
    }
  }

  Key& key() { return key_; }
  std::vector<array>& arrays() { return arrays_; }
  /** Types of which the key has the address; they must live as long as it is kept. */
  std::vector<nb::object>& types() { return types_; }

 private:
  enum Tag : uint64_t {
    tag_array = 1,
    tag_list,
    tag_tuple,
    tag_dict,
    tag_text,
    tag_bool,
    tag_int,
    tag_long_int,
    tag_float,
    tag_none,
    tag_dtype,
    tag_type,
  };

  void push(uint64_t a, uint64_t b) {
    key_.push_back(a);
    key_.push_back(b);
  }

  /** Precedes a value of a subclass, which may behave in its own way. */
  void add_type(PyObject* p) {
    push(tag_type, reinterpret_cast<uint64_t>(Py_TYPE(p)));
    types_.push_back(nb::borrow(reinterpret_cast<PyObject*>(Py_TYPE(p))));
  }

  void add_sequence(PyObject* p, Tag tag, bool exact) {
    TreeDepth guard;
    if (!exact) {
      add_type(p);
    }
    Py_ssize_t n = PySequence_Fast_GET_SIZE(p);
    push(tag, n);
    for (Py_ssize_t i = 0; i < n; i++) {
      add(PySequence_Fast_GET_ITEM(p, i));
    }
  }

  void add_dict(PyObject* p) {
    TreeDepth guard;
    if (!PyDict_CheckExact(p)) {
      add_type(p);
    }
    push(tag_dict, PyDict_Size(p));
    Py_ssize_t position = 0;
    PyObject *key, *value;
    while (PyDict_Next(p, &position, &key, &value)) {
      add(key);
      add(value);
    }
  }

  void add_constant(nb::handle h) {
    PyObject* p = h.ptr();
    bool exact = PyUnicode_CheckExact(p) || PyBool_Check(p) || PyLong_CheckExact(p) ||
                 PyFloat_CheckExact(p) || h.is_none() || nb::isinstance<Dtype>(h);
    if (!exact) {
      add_type(p);
    }
    if (PyUnicode_Check(p)) {
      add_text(tag_text, p);
    } else if (PyBool_Check(p)) {
      push(tag_bool, p == Py_True);
    } else if (PyLong_Check(p)) {
      int overflow = 0;
      int64_t v = PyLong_AsLongLongAndOverflow(p, &overflow);
      if (overflow == 0) {
        push(tag_int, static_cast<uint64_t>(v));
      } else {
        nb::object digits = nb::steal(PyNumber_ToBase(p, 16));
        add_text(tag_long_int, digits.ptr());
      }
    } else if (PyFloat_Check(p)) {
      push(tag_float, std::bit_cast<uint64_t>(PyFloat_AS_DOUBLE(p)));
    } else if (h.is_none()) {
      key_.push_back(tag_none);
    } else {
      check(nb::isinstance<Dtype>(h), "compile",
            "Arguments must be trees of arrays and constants (ints, floats, bools, strings, None), "
            "got a value of type ",
            Py_TYPE(p)->tp_name, ".");
      push(tag_dtype, static_cast<uint64_t>(nb::inst_ptr<Dtype>(h)->val()));
    }
  }

  void add_text(Tag tag, PyObject* p) {
    // By its characters in memory: any str will do, also one that is no Unicode.
    auto width = static_cast<size_t>(PyUnicode_KIND(p));
    size_t bytes = width * static_cast<size_t>(PyUnicode_GET_LENGTH(p));
    push(tag, bytes << 3 | width);
    const char* data = static_cast<const char*>(PyUnicode_DATA(p));
    for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, data + i, std::min(sizeof(word), bytes - i));
      key_.push_back(word);
    }
  }

  Key key_;
  std::vector<array> arrays_;
  std::vector<nb::object> types_;
};

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
  std::vector<nb::object> types;  // that the trace's key names

  std::vector<nb::object*> references() {
    std::vector<nb::object*> held = {&result};
    for (auto& type : types) {
      held.push_back(&type);
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
    mlx::core::detail::visit_own_functions(id(), [&](const auto& fun) {
      auto more = FlatCall::references(fun);
      held.insert(held.end(), more.begin(), more.end());
    });
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
      std::shared_ptr<Form> form(new Form{{}, std::move(writer.types())}, drop_form);
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
