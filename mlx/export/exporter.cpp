// The public exporters: what they share is arguments, in the order of positions and then of names.
#include "mlx/export/exporter.h"

#include <algorithm>
#include <stdexcept>

#include "mlx/core/errors.h"
#include "mlx/export/file.h"
#include "mlx/export/match.h"

namespace mlx::core {

namespace {

class FileExporter final : public TraceExporter {
 public:
  FileExporter(std::string file, bool shapeless, std::string metadata, std::string weights)
      : file_(std::move(file)), weights_(std::move(weights)), shapeless_(shapeless) {
    function_.metadata = std::move(metadata);
  }

  void add(const ExportedCall& fun, const NamedArrays& arguments) override {
    if (closed_) fail("Attempting to write after exporting is closed.");
    for (auto& trace : function_.traces) {
      if (match(trace, arguments).serves) {
        fail("Attempting to export a function twice with the same signature is not allowed.");
      }
    }
    std::vector<StoredArgument> stored;
    for (auto& [name, a] : arguments) stored.push_back({name, a.shape(), a.dtype(), {}});
    function_.traces.push_back(shapeless_ ? trace_shapeless(fun, stored, constants_)
                                          : trace_function(fun, stored, constants_));
  }

  void close() override {
    if (closed_) return;
    closed_ = true;
    keep_used_constants();
    write_function(file_, function_, weights_);
  }

 private:
  [[noreturn]] static void fail(const char* message) {
    throw std::runtime_error(error_message("export_function", message));
  }

  /** Trials of shapes leave constants behind that no trace has. */
  void keep_used_constants() {
    std::vector<uint32_t> numbers(constants_.arrays().size(), 0);
    for (auto& trace : function_.traces) renumber(trace, numbers);
  }

  void renumber(StoredTrace& trace, std::vector<uint32_t>& numbers) {
    for (uint32_t& i : trace.constants) {
      if (numbers[i] == 0) {
        function_.constants.push_back(constants_.arrays()[i]);
        numbers[i] = static_cast<uint32_t>(function_.constants.size());
      }
      i = numbers[i] - 1;
    }
    for (auto& node : trace.nodes) {
      for (auto& graph : node.graphs) renumber(graph, numbers);
    }
  }

  std::string file_, weights_;
  bool shapeless_, closed_ = false;
  StoredFunction function_;
  ConstantPool constants_;
};

NamedArrays named(const Args& args, const Kwargs& kwargs) {
  NamedArrays out;
  for (auto& a : args) out.emplace_back("", a);
  for (auto& [name, a] : kwargs) {
    check(!name.empty(), "export_function", "The name of a keyword argument is empty.");
    out.emplace_back(name, a);
  }
  std::sort(out.begin() + static_cast<std::ptrdiff_t>(args.size()), out.end(),
            [](auto& a, auto& b) { return a.first < b.first; });
  return out;
}

FunctionExporter::Function of_args(const std::function<std::vector<array>(const Args&)>& fun) {
  return [fun](const Args& args, const Kwargs& kwargs) {
    check(kwargs.empty(), "export_function", "The function takes no keyword arguments.");
    return fun(args);
  };
}

FunctionExporter::Function of_kwargs(const std::function<std::vector<array>(const Kwargs&)>& fun) {
  return [fun](const Args& args, const Kwargs& kwargs) {
    check(args.empty(), "export_function", "The function takes keyword arguments only.");
    return fun(kwargs);
  };
}

void run(FunctionExporter exporter, const Args& args, const Kwargs& kwargs) {
  exporter(args, kwargs);
  exporter.close();
}

}  // namespace

std::unique_ptr<TraceExporter> file_exporter(std::string file, bool shapeless, std::string metadata,
                                             std::string weights) {
  return std::make_unique<FileExporter>(std::move(file), shapeless, std::move(metadata),
                                        std::move(weights));
}

FunctionExporter::FunctionExporter(std::unique_ptr<TraceExporter> to, Function fun)
    : to_(std::move(to)), fun_(std::move(fun)) {}

FunctionExporter::FunctionExporter(FunctionExporter&&) noexcept = default;

FunctionExporter::~FunctionExporter() {
  try {
    if (to_ && std::uncaught_exceptions() == 0) to_->close();
  } catch (const std::exception&) {
    // Nobody to tell: those who need to know call close themselves.
  }
}

void FunctionExporter::operator()(const std::initializer_list<array>& args) { (*this)(Args(args)); }
void FunctionExporter::operator()(const Args& args) { (*this)(args, {}); }
void FunctionExporter::operator()(const Kwargs& kwargs) { (*this)(Args{}, kwargs); }

void FunctionExporter::operator()(const Args& args, const Kwargs& kwargs) {
  auto arguments = named(args, kwargs);
  size_t n = args.size();
  to_->add(
      [&](const std::vector<array>& traced, std::string&) {
        Args positions(traced.begin(), traced.begin() + static_cast<std::ptrdiff_t>(n));
        Kwargs names;
        for (size_t i = n; i < traced.size(); i++) names.emplace(arguments[i].first, traced[i]);
        return fun_(positions, names);
      },
      arguments);
}

void FunctionExporter::close() { to_->close(); }

FunctionExporter exporter(const std::string& file,
                          const std::function<std::vector<array>(const Args&)>& fun, bool shapeless,
                          const std::string& metadata) {
  return FunctionExporter(file_exporter(file, shapeless, metadata), of_args(fun));
}

FunctionExporter exporter(const std::string& file,
                          const std::function<std::vector<array>(const Kwargs&)>& fun,
                          bool shapeless, const std::string& metadata) {
  return FunctionExporter(file_exporter(file, shapeless, metadata), of_kwargs(fun));
}

FunctionExporter exporter(const std::string& path,
                          const std::function<std::vector<array>(const Args&, const Kwargs&)>& fun,
                          bool shapeless, const std::string& metadata) {
  return FunctionExporter(file_exporter(path, shapeless, metadata), fun);
}

FunctionExporter exporter(const ExportCallback& callback,
                          const std::function<std::vector<array>(const Args&)>& fun, bool) {
  return FunctionExporter(callback_exporter(callback), of_args(fun));
}

FunctionExporter exporter(const ExportCallback& callback,
                          const std::function<std::vector<array>(const Kwargs&)>& fun, bool) {
  return FunctionExporter(callback_exporter(callback), of_kwargs(fun));
}

FunctionExporter exporter(const ExportCallback& callback,
                          const std::function<std::vector<array>(const Args&, const Kwargs&)>& fun,
                          bool) {
  return FunctionExporter(callback_exporter(callback), fun);
}

void export_function(const std::string& file,
                     const std::function<std::vector<array>(const Args&)>& fun, const Args& args,
                     bool shapeless, const std::string& metadata) {
  run(exporter(file, fun, shapeless, metadata), args, {});
}

void export_function(const std::string& file,
                     const std::function<std::vector<array>(const Kwargs&)>& fun,
                     const Kwargs& kwargs, bool shapeless, const std::string& metadata) {
  run(exporter(file, fun, shapeless, metadata), {}, kwargs);
}

void export_function(const std::string& file,
                     const std::function<std::vector<array>(const Args&, const Kwargs&)>& fun,
                     const Args& args, const Kwargs& kwargs, bool shapeless,
                     const std::string& metadata) {
  run(exporter(file, fun, shapeless, metadata), args, kwargs);
}

void export_function(const ExportCallback& callback,
                     const std::function<std::vector<array>(const Args&)>& fun, const Args& args,
                     bool shapeless) {
  run(exporter(callback, fun, shapeless), args, {});
}

void export_function(const ExportCallback& callback,
                     const std::function<std::vector<array>(const Kwargs&)>& fun,
                     const Kwargs& kwargs, bool shapeless) {
  run(exporter(callback, fun, shapeless), {}, kwargs);
}

void export_function(const ExportCallback& callback,
                     const std::function<std::vector<array>(const Args&, const Kwargs&)>& fun,
                     const Args& args, const Kwargs& kwargs, bool shapeless) {
  run(exporter(callback, fun, shapeless), args, kwargs);
}

}  // namespace mlx::core
