// compile: traces are cached by function, dtypes, shapes and constants; a call replays the trace on
// new inputs, and evaluation fuses what it replays.
#include "mlx/compile.h"

#include <atomic>
#include <memory>

#include "mlx/core/errors.h"
#include "mlx/core/tracing.h"
#include "mlx/graph/passes/simplify.h"
#include "mlx/graph/plan.h"
#include "mlx/graph/tape.h"
#include "mlx/primitives.h"
#include "mlx/transforms/compile_cache.h"
#include "mlx/transforms/recording.h"
#include "mlx/transforms/trace_cache.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace detail {

namespace {

std::atomic<CompileMode> mode{env::get_var("MLX_DISABLE_COMPILE", 0) ? CompileMode::disabled
                                                                     : CompileMode::enabled};

struct Trace {
  Recording recording;
  TraceNote note;
};

using TracePtr = std::shared_ptr<const Trace>;
using Words = std::vector<uint64_t>;

TraceCache<Trace>& cache() {
  static auto* traces = new TraceCache<Trace>(most_traces_per_function);
  return *traces;
}

/** Adds to the constants what a trace depends on in arrays and streams. */
void complete_key(Words& key, const std::vector<array>& inputs, bool shapeless, const Stream& s) {
  size_t constants = key.size(), words = 3;
  for (auto& a : inputs) {
    words += 1 + (shapeless ? 0 : a.ndim());
  }
  key.reserve(key.size() + words);
  key.push_back(shapeless);
  key.push_back(static_cast<uint64_t>(s.index) << 32 | static_cast<uint64_t>(s.device.type) << 16 |
                static_cast<uint64_t>(s.device.index));
  for (auto& a : inputs) {
    key.push_back(static_cast<uint64_t>(a.dtype().val()) << 32 | a.ndim());
    if (!shapeless) {
      key.insert(key.end(), a.shape().begin(), a.shape().end());
    }
  }
  key.push_back(constants);  // tells where they end
}

TracePtr make_trace(TracedFunction fun, const std::vector<array>& inputs, bool shapeless) {
  TracingScope scope;
  std::vector<array> arguments;
  for (auto& in : inputs) {
    arguments.push_back(make_placeholder(in.shape(), in.dtype()));
  }
  TraceNote note;
  auto outputs = fun(arguments, note);
  Tape tape = record(arguments, outputs, TapeKind::all);
  if (mode == CompileMode::enabled || mode == CompileMode::no_fuse) {
    simplify(tape, outputs);
  }
  if (shapeless) {
    for (auto& node : tape.nodes) {
      node.primitive().output_shapes(
          node.inputs());  // raises here, at the first call, if it cannot
    }
  }
  return std::make_shared<Trace>(Trace{Recording(tape, arguments, outputs), std::move(note)});
}

}  // namespace

bool compile_enabled() { return mode != CompileMode::disabled; }

CompiledCall call_compiled(TracedFunction fun, std::uintptr_t fun_id, bool shapeless,
                           std::vector<uint64_t> constants, const std::vector<array>& inputs) {
  if (!compile_enabled()) {
    CompiledCall call;
    call.outputs = fun(inputs, call.note);
    return call;
  }
  complete_key(constants, inputs, shapeless, to_stream({}));
  auto trace = cache().find(fun_id, constants);
  if (!trace) {
    trace = make_trace(fun, inputs, shapeless);
    cache().add(fun_id, std::move(constants), trace);
  }
  return {trace->recording.replay(inputs, shapeless), trace->note};
}

void visit_notes(std::uintptr_t fun_id, FunctionRef<void(void*)> visit) {
  cache().for_each(fun_id, [&](const Trace& trace) {
    if (trace.note) {
      visit(trace.note.get());
    }
  });
}

void erase_compiled(std::uintptr_t fun_id) { cache().erase(fun_id); }

void clear_compiled() { cache().clear(); }

size_t count_compiled() { return cache().size(); }

}  // namespace detail

namespace {

// An id for a function object that lives as long as the compiled function does.
struct FunctionId {
  FunctionId() : id(reinterpret_cast<std::uintptr_t>(this)) {}
  FunctionId(const FunctionId&) = delete;
  FunctionId& operator=(const FunctionId&) = delete;
  ~FunctionId() { detail::erase_compiled(id); }
  std::uintptr_t id;
};

}  // namespace

std::function<std::vector<array>(const std::vector<array>&)> compile(
    std::function<std::vector<array>(const std::vector<array>&)> fun, bool shapeless) {
  auto id = std::make_shared<FunctionId>();
  return [id, shapeless, fun = std::move(fun)](const std::vector<array>& inputs) {
    auto traced = [&](const std::vector<array>& arguments, detail::TraceNote&) {
      return fun(arguments);
    };
    return detail::call_compiled(traced, id->id, shapeless, {}, inputs).outputs;
  };
}

std::function<std::vector<array>(const std::vector<array>&)> compile(
    std::vector<array> (*fun)(const std::vector<array>&), bool shapeless) {
  return compile(std::function<std::vector<array>(const std::vector<array>&)>(fun), shapeless);
}

void disable_compile() { set_compile_mode(CompileMode::disabled); }

void enable_compile() { set_compile_mode(CompileMode::enabled); }

void set_compile_mode(CompileMode mode) {
  detail::mode = mode;
  detail::set_fusion_enabled(mode != CompileMode::no_fuse);
}

}  // namespace mlx::core
