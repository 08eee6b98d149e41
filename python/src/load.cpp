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

nb::object as_python(const GGUFMetaData& value) {
  return std::visit(
      [](const auto& v) -> nb::object {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::monostate>) {
          return nb::none();
        } else {
          return nb::cast(v);
        }
      },
      value);
}

nb::object load_gguf_file(const std::optional<std::string>& path, bool return_metadata,
                          StreamOrDevice s) {
  check(path.has_value(), "load", "A GGUF file is loaded from a path, not from a file object.");
  auto [arrays, metadata] = load_gguf(*path, s);
  if (!return_metadata) {
    return nb::cast(arrays);
  }
  nb::dict named;
  for (const auto& [key, value] : metadata) {
    named[key.c_str()] = as_python(value);
  }
  return nb::make_tuple(arrays, named);
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
    return load_gguf_file(path, return_metadata, s);
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

GGUFMetaData as_gguf_value(nb::handle value) {
  const char* expected = "Metadata must be strings, lists of strings, numbers or arrays.";
  if (nb::isinstance<nb::str>(value)) {
    return as_text(value, "save_gguf", expected);
  }
  bool is_sequence = nb::isinstance<nb::list>(value) || nb::isinstance<nb::tuple>(value);
  bool of_text = is_sequence && (nb::len(value) == 0 || nb::isinstance<nb::str>(value[0]));
  if (!of_text) {
    check(!value.is_none(), "save_gguf", expected);
    return to_array(Operand{value.ptr()});
  }
  std::vector<std::string> texts;
  for (auto text : value) {
    texts.push_back(as_text(text, "save_gguf", expected));
  }
  return texts;
}

void save_gguf_file(nb::object file, const nb::dict& arrays,
                    const std::optional<nb::dict>& metadata) {
  auto path = as_path(file, "save_gguf");
  check(path.has_value(), "save_gguf", "A GGUF file is saved to a path, not to a file object.");
  auto named = named_arrays(arrays, "save_gguf");
  std::unordered_map<std::string, GGUFMetaData> values;
  for (auto [key, value] : metadata.value_or(nb::dict())) {
    values.emplace(as_text(key, "save_gguf", "Metadata must have string keys."),
                   as_gguf_value(value));
  }
  Unlocked unlocked;
  save_gguf(*path, std::move(named), std::move(values));
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
  m.def(
      "load", &load_any, "file"_a, "format"_a = nb::none(), "return_metadata"_a = false,
      nb::kw_only(), "stream"_a = nb::none(),
      "The array of an npy file, or a dict of the arrays of an npz, safetensors or GGUF file.\n\n"
      "`file` is a path or, but for GGUF, a binary file object; `format` defaults to its\n"
      "extension. Arrays of a path are read when they are evaluated, but for npz. With\n"
      "`return_metadata`, safetensors and GGUF files give a pair of the dict and their metadata.\n"
      "Q4_0, Q4_1 and Q8_0 weights of a GGUF file come packed, with scales and biases for\n"
      "quantized_matmul in groups of 32; those of other block types in float16.");
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
  m.def("save_gguf", &save_gguf_file, "file"_a, "arrays"_a, "metadata"_a = nb::none(),
        "Writes a dict of arrays as a GGUF file to a path (`.gguf` is added if missing).\n\n"
        "Arrays are float16, bfloat16, float32, float64 or signed integers; metadata are strings,\n"
        "lists of strings, numbers, and arrays with at most one axis.");
}

}  // namespace mlx::python
