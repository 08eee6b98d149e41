// compile: traces are cached by function, dtypes, shapes and constants; a call replays the trace on
// new inputs, and evaluation fuses what it replays. A shapeless function is traced at a second
// shape: if the graph is the same, it serves all that differ in these extents.
#include "mlx/compile.h"

#include <algorithm>
#include <atomic>
#include <memory>

#include "mlx/core/errors.h"
#include "mlx/core/origins.h"
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
  std::shared_ptr<const Recording> recording;
  TraceNote note;
  std::vector<ShapeElem> extents;  // of all inputs in a row
  /** Of a shapeless function: whether its graph differs from shape to shape. */
  mutable std::atomic<bool> is_bound;
  /** The extents, by bits, that have been seen to leave the graph as it is. */
  mutable std::atomic<uint64_t> free_extents{0};

  Trace(std::shared_ptr<const Recording> recording, TraceNote note,
        const std::vector<array>& inputs, bool is_bound)
      : recording(std::move(recording)), note(std::move(note)), is_bound(is_bound) {
    for (auto& in : inputs) extents.insert(extents.end(), in.shape().begin(), in.shape().end());
  }

  /** The extents in which the inputs differ from the trace's; the last bit stands for all far ones.
   */
  uint64_t differences(const std::vector<array>& inputs) const {
    uint64_t bits = 0;
    size_t i = 0;
    for (auto& in : inputs) {
      for (ShapeElem n : in.shape()) {
        bits |= n != extents[i] ? uint64_t(1) << std::min(i, size_t(63)) : 0;
        i++;
      }
    }
    return bits;
  }
};

using TracePtr = std::shared_ptr<const Trace>;
using Words = std::vector<uint64_t>;

TraceCache<Trace>& cache() {
  static auto* traces = new TraceCache<Trace>(most_traces_per_function);
  return *traces;
}

void add_shapes(Words& key, const std::vector<array>& inputs) {
  for (auto& a : inputs) {
    key.insert(key.end(), a.shape().begin(), a.shape().end());
  }
}

/** Which extents are equal, and which are 0 or 1: ops build other graphs where these differ. */
void add_pattern(Words& key, const std::vector<array>& inputs) {
  SmallVector<ShapeElem> seen = {0, 1};
  for (auto& a : inputs) {
    for (ShapeElem n : a.shape()) {
      auto it = std::find(seen.begin(), seen.end(), n);
      key.push_back(it - seen.begin());
      if (it == seen.end()) seen.push_back(n);
    }
  }
}

/** Adds to the constants what a trace depends on in arrays and streams. */
void complete_key(Words& key, const std::vector<array>& inputs, bool shapeless, const Stream& s) {
  size_t constants = key.size(), words = 3;
  for (auto& a : inputs) {
    words += 1 + a.ndim();
  }
  key.reserve(key.size() + words);
  key.push_back((shapeless ? 1 : 0) | (keeps_origins() ? 2 : 0));
  key.push_back(static_cast<uint64_t>(s.index) << 32 | static_cast<uint64_t>(s.device.type) << 16 |
                static_cast<uint64_t>(s.device.index));
  for (auto& a : inputs) {
    key.push_back(static_cast<uint64_t>(a.dtype().val()) << 32 | a.ndim());
  }
  shapeless ? add_pattern(key, inputs) : add_shapes(key, inputs);
  key.push_back(constants);  // tells where they end
}

TracePtr make_trace(TracedFunction fun, const std::vector<array>& inputs) {
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
  return std::make_shared<Trace>(std::make_shared<Recording>(tape, arguments, outputs),
                                 std::move(note), inputs, current_trace()->reads_shapes);
}

TracePtr find_or_make(TracedFunction fun, std::uintptr_t fun_id, Words key,
                      const std::vector<array>& inputs) {
  auto trace = cache().find(fun_id, key);
  if (!trace) {
    trace = make_trace(fun, inputs);
    cache().add(fun_id, std::move(key), trace);
  }
  return trace;
}

/** Whether a trace at one shape gives the graph of a trace at another. */
bool serves(const Trace& first, const Trace& second, const std::vector<array>& inputs) {
  if (second.is_bound) return false;
  try {
    return first.recording->gives(*second.recording, inputs);
  } catch (const std::invalid_argument&) {
    return false;  // a node whose shape does not follow from its inputs'
  }
}

CompiledCall call_shapeless(TracedFunction fun, std::uintptr_t fun_id, Words key,
                            const std::vector<array>& inputs) {
  constexpr uint64_t far = uint64_t(1) << 63;
  auto trace = find_or_make(fun, fun_id, key, inputs);
  uint64_t differences = trace->differences(inputs);
  if (differences != 0 && (differences & ~trace->free_extents) == 0) {
    return {trace->recording->replay(inputs, true), trace->note};
  }
  if (differences != 0) {
    add_shapes(key, inputs);
    auto other = find_or_make(fun, fun_id, std::move(key), inputs);
    if (!trace->is_bound && serves(*trace, *other, inputs)) {
      trace->free_extents |= differences & ~far;
    } else {
      trace->is_bound = true;
    }
    trace = other;
  }
  return {trace->recording->replay(inputs, false), trace->note};
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
  if (shapeless) {
    return call_shapeless(fun, fun_id, std::move(constants), inputs);
  }
  auto trace = find_or_make(fun, fun_id, std::move(constants), inputs);
  bool deferred = trace->recording->can_be_deferred() && !keeps_origins() &&
                  std::ranges::none_of(inputs, &array::is_tracer);
  return {deferred ? Recording::defer(trace->recording, inputs)
                   : trace->recording->replay(inputs, false),
          trace->note};
}

void visit_notes(std::uintptr_t fun_id, FunctionRef<void(void*)> visit) {
  cache().for_each(fun_id, [&](const Trace& trace) {
    if (trace.note) {
      visit(trace.note.get());
    }
  });
}

void visit_calls(std::uintptr_t fun_id, FunctionRef<void(const void*)> visit) {
  cache().for_each(fun_id, [&](const Trace& trace) { trace.recording->visit_calls(visit); });
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
