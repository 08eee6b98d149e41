// Functions in files: traced once, called again elsewhere, in Python or C++, without the code that
// they were written in. docs/export.md tells the format.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "mlx/array.h"

namespace mlx::core {

using Args = std::vector<array>;
using Kwargs = std::unordered_map<std::string, array>;

/** A parameter of a primitive, as callbacks see it. */
using StateT =
    std::variant<bool, int, size_t, float, double, Dtype, Shape, Strides, std::vector<int>,
                 std::vector<size_t>, std::vector<std::tuple<bool, bool, bool>>,
                 std::vector<std::variant<bool, int, float>>, std::optional<float>, std::string>;

/**
 * What a callback is told of a graph, one call after another. `type` says what it is about:
 * `inputs` and `outputs` (names, shapes, dtypes), `keyword_inputs` (`keywords`: which name is which
 * input), `constants` (names and values), and for each node, inputs first, `primitive`: `name`,
 * `inputs`, `outputs` and `arguments`, its parameters.
 */
using ExportCallbackInput =
    std::unordered_map<std::string, std::variant<std::vector<std::tuple<std::string, Shape, Dtype>>,
                                                 std::vector<std::pair<std::string, array>>,
                                                 std::vector<std::pair<std::string, std::string>>,
                                                 std::vector<StateT>, std::string>>;
using ExportCallback = std::function<void(const ExportCallbackInput&)>;

class TraceExporter;
struct LoadedFunction;

/** Traces of one function, one per sort of arguments, for a file or a callback. */
class FunctionExporter {
 public:
  using Function = std::function<std::vector<array>(const Args&, const Kwargs&)>;

  FunctionExporter(std::unique_ptr<TraceExporter> to, Function fun);
  FunctionExporter(FunctionExporter&&) noexcept;
  /** Closes, but keeps failures to itself. */
  ~FunctionExporter();

  /** Traces the function with such arguments. Throws std::runtime_error if that has been done, or
   *  the exporter is closed, and std::invalid_argument where something cannot be exported. */
  void operator()(const std::initializer_list<array>& args);
  void operator()(const Args& args);
  void operator()(const Kwargs& kwargs);
  void operator()(const Args& args, const Kwargs& kwargs);

  /** Writes the file. */
  void close();

 private:
  std::unique_ptr<TraceExporter> to_;
  Function fun_;
};

/** A function from a file. Calls throw std::invalid_argument where no trace fits the arguments. */
class ImportedFunction {
 public:
  explicit ImportedFunction(const std::string& file);

  std::vector<array> operator()(const std::initializer_list<array>& args) const;
  std::vector<array> operator()(const Args& args) const;
  std::vector<array> operator()(const Kwargs& kwargs) const;
  std::vector<array> operator()(const Args& args, const Kwargs& kwargs) const;

  /** The text that the file was written with. */
  const std::string& metadata() const;

 private:
  std::shared_ptr<LoadedFunction> function_;
};

/**
 * An exporter of `fun` to a file, which appears when the exporter is closed. With `shapeless`, a
 * trace also serves arguments of other extents wherever the graph is the same for them: the
 * function is traced several times to find out which may vary. Random numbers without a key come
 * from the caller's sequence at each call.
 */
FunctionExporter exporter(const std::string& file,
                          const std::function<std::vector<array>(const Args&)>& fun,
                          bool shapeless = false, const std::string& metadata = "");
FunctionExporter exporter(const std::string& file,
                          const std::function<std::vector<array>(const Kwargs&)>& fun,
                          bool shapeless = false, const std::string& metadata = "");
FunctionExporter exporter(const std::string& path,
                          const std::function<std::vector<array>(const Args&, const Kwargs&)>& fun,
                          bool shapeless = false, const std::string& metadata = "");

/** Exports one trace. */
void export_function(const std::string& file,
                     const std::function<std::vector<array>(const Args&)>& fun, const Args& args,
                     bool shapeless = false, const std::string& metadata = "");
void export_function(const std::string& file,
                     const std::function<std::vector<array>(const Kwargs&)>& fun,
                     const Kwargs& kwargs, bool shapeless = false,
                     const std::string& metadata = "");
void export_function(const std::string& file,
                     const std::function<std::vector<array>(const Args&, const Kwargs&)>& fun,
                     const Args& args, const Kwargs& kwargs, bool shapeless = false,
                     const std::string& metadata = "");

/** Throws std::runtime_error if the file cannot be read, is damaged, or holds what is not possible.
 */
ImportedFunction import_function(const std::string& file);

/** An exporter that shows the graph to a callback instead of writing it. */
FunctionExporter exporter(const ExportCallback& callback,
                          const std::function<std::vector<array>(const Args&)>& fun,
                          bool shapeless = false);
FunctionExporter exporter(const ExportCallback& callback,
                          const std::function<std::vector<array>(const Kwargs&)>& fun,
                          bool shapeless = false);
FunctionExporter exporter(const ExportCallback& callback,
                          const std::function<std::vector<array>(const Args&, const Kwargs&)>& fun,
                          bool shapeless = false);
void export_function(const ExportCallback& callback,
                     const std::function<std::vector<array>(const Args&)>& fun, const Args& args,
                     bool shapeless = false);
void export_function(const ExportCallback& callback,
                     const std::function<std::vector<array>(const Kwargs&)>& fun,
                     const Kwargs& kwargs, bool shapeless = false);
void export_function(const ExportCallback& callback,
                     const std::function<std::vector<array>(const Args&, const Kwargs&)>& fun,
                     const Args& args, const Kwargs& kwargs, bool shapeless = false);

}  // namespace mlx::core
