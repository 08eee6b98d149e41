// Loading and saving from Python: picks the format, and passes paths or file objects on.
#include "mlx/io.h"

#include "mlx/core/errors.h"
#include "python/src/convert.h"
#include "python/src/gil.h"
#include "python/src/npz.h"
#include "python/src/python_file.h"

#include <nanobind/stl/unordered_map.h>

namespace mlx::python {

namespace {

using Metadata = std::unordered_map<std::string, std::string>;

/** The path that a str or os.PathLike names; nothing for a file object. Throws TypeError. */
std::optional<std::string> as_path(nb::handle file, const char* op) {
  if (nb::isinstance<nb::str>(file) || nb::hasattr(file, "__fspath__")) {
    return path_bytes(file);
  }
  if (!nb::hasattr(file, "read") && !nb::hasattr(file, "write")) {
    std::string message = std::string("[") + op + "] Expected a path or a file object.";
    throw nb::type_error(message.c_str());
  }
  return std::nullopt;
}

std::string extension_of(nb::handle file, const std::optional<std::string>& path) {
  std::string name = path.value_or("");
  if (!path && nb::hasattr(file, "name") && nb::isinstance<nb::str>(file.attr("name"))) {
    name = path_bytes(file.attr("name"));
  }
  size_t dot = name.rfind('.');
  check(dot != std::string::npos && dot + 1 < name.size(), "load",
        "Could not infer the file format from an extension; pass `format`.");
  return name.substr(dot + 1);
}

/** What the C++ loaders take: a reader of the file or file object. */
std::shared_ptr<io::Reader> make_reader(nb::handle file, const std::optional<std::string>& path) {
  if (path) {
    auto reader = std::make_shared<io::ParallelFileReader>(*path);
    if (!reader->is_open()) {
      throw std::runtime_error("[load] Failed to open " + reader->label());
    }
    return reader;
  }
  return std::make_shared<PythonFileReader>(nb::borrow(file));
}

/** A file object stands behind what was loaded. */
void finish_reading(io::Reader& reader) {
  if (auto* file = dynamic_cast<PythonFileReader*>(&reader)) {
    file->move_file();
  }
}

nb::object load_safetensors_file(nb::handle file, const std::optional<std::string>& path,
                                 bool return_metadata, StreamOrDevice s) {
  auto reader = make_reader(file, path);
  auto [arrays, metadata] = load_safetensors(reader, s);
  finish_reading(*reader);
  return return_metadata ? nb::object(nb::make_tuple(arrays, metadata)) : nb::cast(arrays);
}

nb::object load_any(nb::object file, std::optional<std::string> format, bool return_metadata,
                    StreamOrDevice s) {
  auto path = as_path(file, "load");
  std::string kind = format ? *format : extension_of(file, path);
  bool known = kind == "npy" || kind == "npz" || kind == "safetensors" || kind == "gguf";
  check(known, "load", "Unknown file format ", kind, ".");
  check(!return_metadata || kind == "safetensors" || kind == "gguf", "load",
        "Metadata is not supported for format ", kind, ".");
  if (kind == "safetensors") {
    return load_safetensors_file(file, path, return_metadata, s);
  }
  if (kind == "gguf") {
    load_gguf(path.value_or("a file object"), s);
  }
  if (kind == "npz") {
    if (path) {
      make_reader(file, path);  // a missing file fails like all others
      return nb::cast(load_npz(path_object(*path), s));
    }
    return nb::cast(load_npz(file, s));
  }
  auto reader = make_reader(file, path);
  array a = load(reader, s);
  finish_reading(*reader);
  return nb::cast(a);
}

void save_array(nb::object file, array a) {
  if (auto path = as_path(file, "save")) {
    Unlocked unlocked;
    save(*path, std::move(a));
  } else {
    auto writer = std::make_shared<PythonFileWriter>(file);
    Unlocked unlocked;
    save(writer, std::move(a));
  }
}

/** A str as UTF-8. Throws ValueError for other objects and for lone surrogates. */
std::string as_text(nb::handle value, const char* op, const char* expected) {
  std::string out;
  bool ok = nb::isinstance<nb::str>(value) && nb::try_cast(value, out);
  check(ok, op, expected);
  return out;
}

NamedArrays named_arrays(const nb::dict& arrays, const char* op) {
  NamedArrays out;
  for (auto [key, value] : arrays) {
    const char* expected = "Expected a dictionary from strings to arrays.";
    const array* a = as_array(value);
    check(a != nullptr, op, expected);
    out.emplace(as_text(key, op, expected), *a);
  }
  return out;
}

Metadata string_pairs(const std::optional<nb::dict>& metadata) {
  Metadata out;
  for (auto [key, value] : metadata.value_or(nb::dict())) {
    const char* expected = "Metadata must be a dictionary with string keys and values.";
    out.emplace(as_text(key, "save_safetensors", expected),
                as_text(value, "save_safetensors", expected));
  }
  return out;
}

void save_safetensors_file(nb::object file, const nb::dict& arrays,
                           const std::optional<nb::dict>& metadata) {
  auto named = named_arrays(arrays, "save_safetensors");
  auto pairs = string_pairs(metadata);
  if (auto path = as_path(file, "save_safetensors")) {
    Unlocked unlocked;
    save_safetensors(*path, std::move(named), std::move(pairs));
  } else {
    auto writer = std::make_shared<PythonFileWriter>(file);
    Unlocked unlocked;
    save_safetensors(writer, std::move(named), std::move(pairs));
  }
}

void savez_any(const char* op, bool compressed, nb::object file, const nb::args& args,
               const nb::kwargs& kwargs) {
  std::vector<std::pair<std::string, array>> arrays;
  for (auto [key, value] : kwargs) {
    arrays.emplace_back(nb::cast<std::string>(key), to_array(Operand{value.ptr()}));
  }
  for (size_t i = 0; i < args.size(); i++) {
    std::string name = "arr_" + std::to_string(i);
    check(!kwargs.contains(name.c_str()), op, "Cannot use unnamed arrays and the keyword ", name,
          ".");
    arrays.emplace_back(name, to_array(Operand{nb::handle(args[i]).ptr()}));
  }
  if (auto path = as_path(file, op)) {
    *path += path->ends_with(".npz") ? "" : ".npz";
    save_npz(path_object(*path), arrays, compressed);
  } else {
    save_npz(file, arrays, compressed);
  }
}

}  // namespace

void bind_load(nb::module_& m) {
  m.def("load", &load_any, "file"_a, "format"_a = nb::none(), "return_metadata"_a = false,
        nb::kw_only(), "stream"_a = nb::none(),
        "The array of an npy file, or a dict of the arrays of an npz or safetensors file.\n\n"
        "`file` is a path or a binary file object; `format` defaults to its extension. Arrays of\n"
        "a path to an npy or safetensors file are read when they are evaluated. With\n"
        "`return_metadata`, safetensors files give a pair of the dict and their metadata.");
  m.def("save", &save_array, "file"_a, "arr"_a,
        "Writes an array as an npy file to a path (`.npy` is added if missing) or file object.");
  m.def(
      "savez",
      [](nb::object file, const nb::args& args, const nb::kwargs& kwargs) {
        savez_any("savez", false, std::move(file), args, kwargs);
      },
      "file"_a, "args"_a, "kwargs"_a,
      "Writes arrays to an npz archive, unnamed ones as arr_0, arr_1 and so on.");
  m.def(
      "savez_compressed",
      [](nb::object file, const nb::args& args, const nb::kwargs& kwargs) {
        savez_any("savez_compressed", true, std::move(file), args, kwargs);
      },
      "file"_a, "args"_a, "kwargs"_a, "As savez, compressed.");
  m.def("save_safetensors", &save_safetensors_file, "file"_a, "arrays"_a, "metadata"_a = nb::none(),
        "Writes a dict of arrays, and of strings as metadata, as a safetensors file to a path\n"
        "(`.safetensors` is added if missing) or file object.");
  m.def(
      "save_gguf",
      [](nb::object file, const nb::dict& arrays, const std::optional<nb::dict>&) {
        save_gguf(as_path(file, "save_gguf").value_or("a file object"),
                  named_arrays(arrays, "save_gguf"));
      },
      "file"_a, "arrays"_a, "metadata"_a = nb::none(), "Not supported: raises RuntimeError.");
}

}  // namespace mlx::python
