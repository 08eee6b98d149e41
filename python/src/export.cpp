// Functions to files and back: arguments and results as trees, each array of which has a name where
// it is not an argument by itself.
#include "mlx/export.h"

#include <nanobind/stl/variant.h>

#include <algorithm>
#include <numeric>

#include "mlx/core/errors.h"
#include "mlx/core/interrupt.h"
#include "mlx/export/exporter.h"
#include "mlx/export/loaded.h"
#include "python/src/convert.h"
#include "python/src/function.h"
#include "python/src/gil.h"
#include "python/src/python_file.h"
#include "python/src/trees.h"

namespace mlx::python {

namespace {

/** The arguments of a call: those of `fun((x, y), {"z": z})` are x, y and z. */
struct CallArguments {
  nb::object positional, named;

  CallArguments(const nb::args& args, const nb::kwargs& kwargs) : positional(args), named(kwargs) {
    auto is_list = [](nb::handle h) { return PyTuple_Check(h.ptr()) || PyList_Check(h.ptr()); };
    auto is_dict = [](nb::handle h) { return PyDict_Check(h.ptr()); };
    size_t n = args.size();
    if (kwargs.size() > 0 || n == 0 || n > 2) return;
    bool one = n == 1 && (is_list(args[0]) || is_dict(args[0]));
    bool two = n == 2 && is_list(args[0]) && is_dict(args[1]);
    if (one || two) {
      positional = is_list(args[0]) ? nb::object(nb::tuple(args[0])) : nb::tuple();
      named = is_dict(args[n - 1]) ? nb::object(nb::dict(args[n - 1])) : nb::dict();
    }
  }
};

/** Adds the arrays of a tree in the order of tree_visit. What is `path` for the tree is
 *  `path.key.0` for an array inside it. */
void add_arrays(NamedArrays& to, nb::handle tree, const std::string& path, const char* op) {
  TreeDepth guard;
  PyObject* p = tree.ptr();
  if (const array* a = as_array(tree)) {
    to.emplace_back(path, *a);
  } else if (PyTuple_Check(p) || PyList_Check(p)) {
    // Asked for each time: names of keys are made by Python code, which may change the list.
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(p); i++) {
      nb::object item = nb::borrow(PySequence_Fast_GET_ITEM(p, i));
      add_arrays(to, item, path + "." + std::to_string(i), op);
    }
  } else if (PyDict_Check(p)) {
    for_each_item(tree, [&](nb::handle key, nb::handle value) {
      add_arrays(to, value, path + "." + nb::str(key).c_str(), op);
    });
  } else {
    fail(op,
         "Inputs can either be a variable number of positional and keyword arrays, or trees of "
         "arrays, or a single tuple and/or dictionary of them, not a value of type ",
         Py_TYPE(p)->tp_name, ".");
  }
}

/** All arrays of a call, in the order in which the containers have them. */
NamedArrays arrays_of(const CallArguments& call, const char* op) {
  NamedArrays all;
  size_t n = nb::len(call.positional);
  for (size_t i = 0; i < n; i++) {
    nb::object argument = call.positional[i];
    const array* a = as_array(argument);
    a ? (void)all.emplace_back("", *a) : add_arrays(all, argument, std::to_string(i), op);
  }
  for_each_item(call.named, [&](nb::handle key, nb::handle value) {
    add_arrays(all, value, nb::cast<std::string>(key), op);
  });
  return all;
}

/** The numbers of `all` in the order in which exporters take them: unnamed ones first. */
std::vector<size_t> export_order(const NamedArrays& all) {
  std::vector<size_t> order(all.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](size_t i) { return all[i].first; });
  return order;
}

NamedArrays in_order(const NamedArrays& all, const std::vector<size_t>& order) {
  NamedArrays ordered;
  for (size_t i : order) ordered.push_back(all[i]);
  return ordered;
}

// ------------------------------------------------------------------ results

/** A result as what JSON can hold, with numbers for its arrays: lists become ["list", …], tuples
 *  ["tuple", …], dicts {"key": …}. */
nb::object described(nb::handle tree, std::vector<array>& arrays) {
  TreeDepth guard;
  PyObject* p = tree.ptr();
  if (const array* a = as_array(tree)) {
    arrays.push_back(*a);
    return nb::int_(arrays.size() - 1);
  }
  if (PyTuple_Check(p) || PyList_Check(p)) {
    nb::list out;
    out.append(PyList_Check(p) ? "list" : "tuple");
    for (nb::handle item : tree) out.append(described(item, arrays));
    return out;
  }
  check(PyDict_Check(p), "export_function",
        "Outputs can be a single array, a tuple or list of arrays, or a tree of lists, tuples and "
        "dicts of arrays, but there is a value of type ",
        Py_TYPE(p)->tp_name, ".");
  nb::dict out;
  for_each_item(tree, [&](nb::handle key, nb::handle value) {
    check(PyUnicode_Check(key.ptr()), "export_function", "Keys of outputs must be strings.");
    out[key] = described(value, arrays);
  });
  return out;
}

nb::object rebuilt(nb::handle description, const std::vector<array>& arrays) {
  TreeDepth guard;
  PyObject* p = description.ptr();
  if (PyLong_Check(p)) {
    return nb::cast(arrays.at(nb::cast<size_t>(description)));
  }
  if (PyDict_Check(p)) {
    nb::dict out;
    for_each_item(description,
                  [&](nb::handle key, nb::handle value) { out[key] = rebuilt(value, arrays); });
    return out;
  }
  check(PyList_Check(p) && nb::len(description) > 0, "import_function",
        "The file describes a result that cannot be.");
  nb::list out;
  for (size_t i = 1; i < nb::len(description); i++) out.append(rebuilt(description[i], arrays));
  return nb::cast<std::string>(nb::str(description[0])) == "list" ? nb::object(out)
                                                                  : nb::tuple(out);
}

bool is_flat(nb::handle result) {
  if (as_array(result)) return true;
  if (!PyTuple_Check(result.ptr()) && !PyList_Check(result.ptr())) return false;
  for (nb::handle item : result) {
    if (!as_array(item)) return false;
  }
  return true;
}

nb::object json(const char* function, nb::handle value) {
  return nb::module_::import_("json").attr(function)(value);
}

// ------------------------------------------------------------------ exporting

/** What the function gives. An interrupt or an exit ends the export, even where the call was only
 *  to find out whether the function takes other shapes. */
nb::object traced_call(const nb::object& fun, const nb::object& positional,
                       const nb::object& named) {
  try {
    return call_with(fun, positional, named);
  } catch (nb::python_error& e) {
    if (e.matches(PyExc_Exception)) throw;
    e.restore();
    throw Interrupted();
  }
}

void export_call(TraceExporter& to, const nb::object& fun, const nb::args& args,
                 const nb::kwargs& kwargs) {
  CallArguments call(args, kwargs);
  NamedArrays all = arrays_of(call, "export_function");
  auto order = export_order(all);
  auto run = [&](const std::vector<array>& traced, std::string& structure) {
    std::vector<array> arrays;
    for (auto& [name, a] : all) arrays.push_back(a);
    for (size_t i = 0; i < order.size(); i++) arrays[order[i]] = traced[i];
    size_t position = 0;
    nb::object positional = tree_fill(call.positional, arrays, position);
    nb::object named = tree_fill(call.named, arrays, position);
    nb::object result = traced_call(fun, positional, named);
    std::vector<array> outputs;
    nb::object description = described(result, outputs);
    if (!is_flat(result)) structure = nb::cast<std::string>(json("dumps", description));
    return outputs;
  };
  to.add(run, in_order(all, order));
}

/** What is told to a callback, as a dict. */
nb::dict told(const ExportCallbackInput& input) {
  nb::dict out;
  for (auto& [key, value] : input) {
    out[key.c_str()] = std::visit([](const auto& v) { return nb::cast(v); }, value);
  }
  return out;
}

std::unique_ptr<TraceExporter> exporter_to(nb::handle file, bool shapeless,
                                           const std::optional<std::string>& metadata,
                                           const std::optional<std::string>& weights) {
  if (PyCallable_Check(file.ptr())) {
    check(!metadata, "export_function", "Metadata is only supported when exporting to a file.");
    return callback_exporter(
        [callback = nb::borrow(file)](const ExportCallbackInput& input) { callback(told(input)); });
  }
  return file_exporter(path_bytes(file), shapeless, metadata.value_or(""), weights.value_or(""));
}

/** mx.FunctionExporter. */
struct Exporter {
  nb::object fun;
  std::unique_ptr<TraceExporter> to;
  std::vector<nb::object*> references() { return {&fun}; }

  void close() {
    Unlocked unlocked;
    to->close();
  }
};

void bind_exporter(nb::module_& m) {
  nb::class_<Exporter>(
      m, "FunctionExporter", nb::type_slots(collector_slots<Exporter>),
      "Collects traces of a function for a file; `mx.exporter` makes it. A context\n"
      "manager, which writes the file at the end unless there was an exception.")
      .def(
          "__call__",
          [](Exporter& self, const nb::args& args, const nb::kwargs& kwargs) {
            export_call(*self.to, self.fun, args, kwargs);
          },
          "args"_a, "kwargs"_a, "Adds the trace for arguments like these.")
      .def("close", &Exporter::close, "Writes the file.")
      .def("__enter__", [](nb::object self) { return self; })
      .def(
          "__exit__",
          [](Exporter& self, nb::object exc_type, const nb::object&, const nb::object&) {
            if (exc_type.is_none()) self.close();
          },
          "exc_type"_a = nb::none(), "exc_value"_a = nb::none(), "traceback"_a = nb::none());
}

// ------------------------------------------------------------------ importing

nb::object imported(const std::shared_ptr<LoadedFunction>& function) {
  return nb::cpp_function(
      [function](const nb::args& args, const nb::kwargs& kwargs) -> nb::object {
        auto all = arrays_of(CallArguments(args, kwargs), "import_function::call");
        auto [outputs, structure] = function->call(in_order(all, export_order(all)));
        if (!structure.empty()) {
          return rebuilt(json("loads", nb::cast(structure)), outputs);
        }
        return nb::tuple(nb::cast(outputs));
      },
      nb::name("imported_function"), "args"_a, "kwargs"_a,
      "A function from a file. Returns a tuple of arrays, or the tree that the exported function\n"
      "returned if that was not an array or a tuple or list of arrays.");
}

}  // namespace

void bind_export(nb::module_& m) {
  bind_exporter(m);
  m.def(
      "export_function",
      [](nb::object file, const nb::object& fun, const nb::args& args, bool shapeless,
         const std::optional<std::string>& metadata, const nb::kwargs& kwargs) {
        check_callable(fun, "export_function");
        auto to = exporter_to(file, shapeless, metadata, std::nullopt);
        export_call(*to, fun, args, kwargs);
        Unlocked unlocked;
        to->close();
      },
      "file_or_callback"_a, "fun"_a, "args"_a, "shapeless"_a = false, "metadata"_a = nb::none(),
      "kwargs"_a,
      "Traces `fun` with arguments like `args` and `kwargs` and writes what it does to a file, or\n"
      "tells it to a callback, one dict after another.\n\n"
      "Arguments are arrays or trees of them, or one tuple and/or one dict of all. With "
      "`shapeless`\n"
      "the trace also serves arguments of other extents, wherever the graph is the same for them.\n"
      "Random numbers without a key come from the caller's sequence at each call. `metadata` is a\n"
      "text that `import_function` gives back.");
  m.def(
      "exporter",
      [](nb::object file, const nb::object& fun, bool shapeless,
         const std::optional<std::string>& metadata, const std::optional<std::string>& weights) {
        check_callable(fun, "exporter");
        return Exporter{fun, exporter_to(file, shapeless, metadata, weights)};
      },
      "file"_a, "fun"_a, nb::kw_only(), "shapeless"_a = false, "metadata"_a = nb::none(),
      "weights"_a = nb::none(),
      "An exporter of several traces of `fun` to one file: call it with arguments of each sort.\n"
      "With `weights`, the name of a safetensors file, constants of more than one element lie in\n"
      "that file, beside the function's.");
  m.def(
      "import_function",
      [](nb::object file, bool return_metadata) -> nb::object {
        std::string path = path_bytes(file);
        std::shared_ptr<LoadedFunction> function;
        {
          Unlocked unlocked;
          function = std::make_shared<LoadedFunction>(path);
        }
        nb::object result = imported(function);
        if (!return_metadata) return result;
        return nb::make_tuple(result, function->metadata());
      },
      "file"_a, "return_metadata"_a = false,
      "The function of a file that `export_function` or an exporter wrote, and the metadata if it\n"
      "is asked for. Raises RuntimeError if the file is damaged or holds what is not possible.");
}

}  // namespace mlx::python
