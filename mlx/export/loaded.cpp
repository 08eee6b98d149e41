// Calling a function from a file: find the trace that fits, put its graph on the arguments.
#include "mlx/export/loaded.h"

#include "mlx/core/errors.h"
#include "mlx/export/file.h"
#include "mlx/export/graph.h"
#include "mlx/export/match.h"
#include "mlx/random.h"
#include "mlx/utils.h"

namespace mlx::core {

LoadedFunction::LoadedFunction(const std::string& file) : function_(read_function(file)) {
  Stream s = to_stream({});
  for (size_t i = 0; i < function_.traces.size(); i++) recording(i, s);
}

LoadedFunction::RecordingPtr LoadedFunction::recording(size_t trace, const Stream& s) {
  constexpr size_t most = 256;  // threads that have ended leave streams behind
  std::lock_guard lock(mutex_);
  auto found = recordings_.find({trace, s});
  if (found != recordings_.end()) return found->second;
  if (recordings_.size() >= most) recordings_.clear();
  auto made = make_recording(function_.traces[trace], function_.constants, s);
  recordings_.emplace(std::pair(trace, s), made);
  return made;
}

void LoadedFunction::check_at(size_t trace, const detail::Recording& graph,
                              const std::vector<array>& inputs) {
  constexpr size_t most = 4096;
  std::vector<ShapeElem> extents;
  for (auto& in : inputs) extents.insert(extents.end(), in.shape().begin(), in.shape().end());
  {
    std::lock_guard lock(mutex_);
    if (checked_.contains({trace, extents})) return;
  }
  check_shapes(function_.traces[trace], graph, inputs);
  std::lock_guard lock(mutex_);
  if (checked_.size() >= most) checked_.clear();
  checked_.insert({trace, std::move(extents)});
}

LoadedCall LoadedFunction::call(const NamedArrays& arguments) {
  for (size_t i = 0; i < function_.traces.size(); i++) {
    const StoredTrace& trace = function_.traces[i];
    Match found = match(trace, arguments);
    if (!found.serves) continue;
    if (trace.draws) found.inputs.push_back(random::KeySequence::default_().next());
    auto graph = recording(i, to_stream({}));
    if (found.shapeless) check_at(i, *graph, found.inputs);
    return {graph->replay(found.inputs, found.shapeless), trace.structure};
  }
  fail("import_function::call", no_match_message(function_.traces, arguments));
}

ImportedFunction::ImportedFunction(const std::string& file)
    : function_(std::make_shared<LoadedFunction>(file)) {}

std::vector<array> ImportedFunction::operator()(const std::initializer_list<array>& args) const {
  return (*this)(Args(args), {});
}
std::vector<array> ImportedFunction::operator()(const Args& args) const {
  return (*this)(args, {});
}
std::vector<array> ImportedFunction::operator()(const Kwargs& kwargs) const {
  return (*this)(Args{}, kwargs);
}

std::vector<array> ImportedFunction::operator()(const Args& args, const Kwargs& kwargs) const {
  NamedArrays arguments;
  for (auto& a : args) arguments.emplace_back("", a);
  arguments.insert(arguments.end(), kwargs.begin(), kwargs.end());
  return function_->call(arguments).outputs;
}

const std::string& ImportedFunction::metadata() const { return function_->metadata(); }

ImportedFunction import_function(const std::string& file) { return ImportedFunction(file); }

}  // namespace mlx::core
