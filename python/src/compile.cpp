// compile: Python functions traced once for each sort of call. What is no array in the arguments is
// part of the key; arrays that a function reads or changes beside them are captured as state.
#include "mlx/compile.h"

#include <cstring>
#include <map>
#include <unordered_set>

#include "mlx/core/errors.h"
#include "mlx/transforms/compile_cache.h"
#include "python/src/convert.h"
#include "python/src/function.h"
#include "python/src/trees.h"

namespace mlx::python {

namespace {

using Key = std::vector<uint64_t>;

/** Everything about arguments that a trace depends on, as words; arrays are set apart. */
class KeyWriter {
 public:
  void add(nb::handle h) {
    PyObject* p = h.ptr();
    if (auto* a = as_array(h)) {
      key_.push_back(tag_array);
      arrays_.push_back(*a);
    } else if (PyList_Check(p) || PyTuple_Check(p)) {
      Py_ssize_t n = PySequence_Fast_GET_SIZE(p);
      push(PyList_Check(p) ? tag_list : tag_tuple, n);
      for (Py_ssize_t i = 0; i < n; i++) {
        add(PySequence_Fast_GET_ITEM(p, i));
      }
    } else if (PyDict_Check(p)) {
      push(tag_dict, PyDict_Size(p));
      for (auto item : nb::borrow<nb::dict>(h)) {
        add(item.first);
        add(item.second);
      }
    } else {
      add_constant(h);
    }
  }

  Key& key() { return key_; }
  std::vector<array>& arrays() { return arrays_; }

 private:
  enum Tag : uint64_t {
    tag_array = 1,
    tag_list,
    tag_tuple,
    tag_dict,
    tag_text,
    tag_bool,
    tag_int,
    tag_float,
    tag_none,
    tag_object,
  };

  void push(uint64_t a, uint64_t b) {
    key_.push_back(a);
    key_.push_back(b);
  }

  void add_constant(nb::handle h) {
    PyObject* p = h.ptr();
    if (PyUnicode_Check(p)) {
      add_text(nb::cast<std::string>(h));
    } else if (PyBool_Check(p)) {
      push(tag_bool, p == Py_True);
    } else if (PyLong_Check(p)) {
      int64_t v;
      if (load_int(p, v)) {
        push(tag_int, static_cast<uint64_t>(v));
      } else {
        add_text(nb::str(h).c_str());
      }
    } else if (PyFloat_Check(p)) {
      double v = PyFloat_AS_DOUBLE(p);
      uint64_t bits;
      std::memcpy(&bits, &v, sizeof(bits));
      push(tag_float, bits);
    } else if (h.is_none()) {
      key_.push_back(tag_none);
    } else {
      check(nb::isinstance<Dtype>(h), "compile",
            "Arguments must be trees of arrays and constants (ints, floats, bools, strings, None), "
            "got a value of type ",
            Py_TYPE(p)->tp_name, ".");
      push(tag_object, static_cast<uint64_t>(nb::inst_ptr<Dtype>(h)->val()));
    }
  }

  void add_text(const std::string& text) {
    push(tag_text, text.size());
    for (size_t i = 0; i < text.size(); i += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, text.data() + i, std::min(sizeof(word), text.size() - i));
      key_.push_back(word);
    }
  }

  Key key_;
  std::vector<array> arrays_;
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
    PyObject* p = tree.ptr();
    if (PyList_Check(p) || PyTuple_Check(p)) {
      containers.insert(p);
      for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(p); i++) {
        collect(PySequence_Fast_GET_ITEM(p, i), containers);
      }
    } else if (PyDict_Check(p)) {
      containers.insert(p);
      for (auto item : nb::borrow<nb::dict>(tree)) {
        collect(item.second, containers);
      }
    }
  }

 private:
  void save(nb::handle tree) {
    PyObject* p = tree.ptr();
    if (PyList_Check(p)) {
      containers_.emplace_back(nb::borrow(tree), nb::steal(PyList_GetSlice(p, 0, PY_SSIZE_T_MAX)));
    } else if (PyDict_Check(p)) {
      containers_.emplace_back(nb::borrow(tree), nb::steal(PyDict_Copy(p)));
    }
    if (PyList_Check(p) || PyTuple_Check(p)) {
      for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(p); i++) {
        nb::handle item = PySequence_Fast_GET_ITEM(p, i);
        if (PyTuple_Check(p) && as_array(item)) {
          tuple_items_.emplace_back(nb::borrow(item), *as_array(item));
        }
        save(item);
      }
    } else if (PyDict_Check(p)) {
      for (auto item : nb::borrow<nb::dict>(tree)) {
        save(item.second);
      }
    }
  }

  std::vector<std::pair<nb::object, nb::object>> containers_;
  std::vector<std::pair<nb::object, array>> tuple_items_;
};

class Compiled : public Transformed {
 public:
  Compiled(nb::object fun, nb::object inputs, nb::object outputs, bool shapeless)
      : Transformed(std::move(fun)),
        state_in_(std::move(inputs)),
        state_out_(std::move(outputs)),
        shapeless_(shapeless) {}

  ~Compiled() override { mlx::core::detail::erase_compiled(id()); }

  std::vector<nb::object*> references() override { return {&fun_, &state_in_, &state_out_}; }

  nb::object call(const nb::args& args, const nb::kwargs& kwargs) override {
    if (!mlx::core::detail::compile_enabled()) {
      return fun_(*args, **kwargs);
    }
    KeyWriter writer;
    writer.add(args);
    writer.add(kwargs);
    auto inputs = std::move(writer.arrays());
    size_t own = inputs.size();
    auto captured = state_in_.is_none() ? std::vector<array>() : tree_arrays(state_in_);
    inputs.insert(inputs.end(), captured.begin(), captured.end());

    std::optional<Snapshot> snapshot;
    std::optional<Form> traced;
    auto trace = [&](const std::vector<array>& arrays) {
      snapshot.emplace(state_in_);
      return run_traced(args, kwargs, arrays, own, *snapshot, traced);
    };
    try {
      Key form_key = key_of_form(writer.key(), inputs);
      auto outputs =
          mlx::core::detail::compile(trace, id(), shapeless_, std::move(writer.key()))(inputs);
      if (traced) {
        forms_.insert_or_assign(form_key, *traced);
      }
      return finish(forms_.at(form_key), outputs);
    } catch (...) {
      if (snapshot) {
        snapshot->restore();
      }
      throw;
    }
  }

 private:
  /** How the outputs of a trace go back into Python: the result's containers, then the state. */
  struct Form {
    nb::object result;
    size_t result_arrays;
  };

  std::uintptr_t id() const { return reinterpret_cast<std::uintptr_t>(this); }

  /** As fine as what traces are kept under, since results may depend on shapes. */
  Key key_of_form(const Key& constants, const std::vector<array>& inputs) const {
    Key key = constants;
    for (auto& a : inputs) {
      key.push_back(static_cast<uint64_t>(a.dtype().val()) << 32 | a.ndim());
      if (!shapeless_) {
        key.insert(key.end(), a.shape().begin(), a.shape().end());
      }
    }
    Stream s = to_stream({});
    key.push_back(static_cast<uint64_t>(s.index) << 1 | static_cast<uint64_t>(s.device.type));
    return key;
  }

  std::vector<array> run_traced(const nb::args& args, const nb::kwargs& kwargs,
                                const std::vector<array>& arrays, size_t own,
                                const Snapshot& snapshot, std::optional<Form>& form) {
    size_t position = 0;
    nb::object traced_args = tree_fill(args, arrays, position);
    nb::object traced_kwargs = tree_fill(kwargs, arrays, position);
    position = own;
    if (!state_in_.is_none()) {
      tree_update(state_in_, arrays, position);
    }
    nb::object result =
        fun_(*nb::borrow<nb::tuple>(traced_args), **nb::borrow<nb::dict>(traced_kwargs));
    auto outputs = tree_arrays(result);
    size_t result_arrays = outputs.size();
    std::unordered_set<PyObject*> kept;
    if (!state_out_.is_none()) {
      auto changed = tree_arrays(state_out_);
      outputs.insert(outputs.end(), changed.begin(), changed.end());
      Snapshot::collect(state_out_, kept);
    }
    snapshot.restore(kept);
    nb::object empty = nb::cast(array(0));
    form = Form{tree_map(result, [&](nb::handle h) { return as_array(h) ? empty : nb::borrow(h); }),
                result_arrays};
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
  std::map<Key, Form> forms_;
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
      "arguments. With `shapeless` a change of shapes does not trace again.");
  nb::class_<CompileMode>(m, "CompileMode", "Whether compiled functions are traced.")
      .def("__enter__", [](nb::handle self) { return nb::borrow(self); })
      .def(
          "__exit__",
          [](const CompileMode& self, nb::handle, nb::handle, nb::handle) { self.undo(); },
          "exc_type"_a = nb::none(), "exc_value"_a = nb::none(), "traceback"_a = nb::none());
  m.def(
      "disable_compile", []() { return CompileMode(false); },
      "Compiled functions run as they were written from now on, or inside a `with` block.");
  m.def(
      "enable_compile", []() { return CompileMode(true); },
      "Compiled functions are traced again from now on, or inside a `with` block.");
}

}  // namespace mlx::python
