// compile: traces are cached by function, dtypes, shapes and constants; a call replays the trace on
// new inputs, and evaluation fuses what it replays.
#include "mlx/compile.h"

#include <atomic>
#include <mutex>
#include <unordered_map>

#include "mlx/core/errors.h"
#include "mlx/graph/passes/simplify.h"
#include "mlx/graph/plan.h"
#include "mlx/graph/tracing.h"
#include "mlx/primitives.h"
#include "mlx/transforms/compile_cache.h"
#include "mlx/transforms/recording.h"
#include "mlx/transforms/tape.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace detail {

namespace {

using ArraysFn = std::function<std::vector<array>(const std::vector<array>&)>;

std::atomic<CompileMode> mode{env::get_var("MLX_DISABLE_COMPILE", 0) ? CompileMode::disabled
                                                                     : CompileMode::enabled};

struct Trace {
  Stream stream;
  std::vector<array> arguments;
  Recording recording;
  std::vector<uint64_t> constants;

  bool serves(const std::vector<array>& inputs, bool shapeless,
              const std::vector<uint64_t>& constants, const Stream& stream) const {
    if (this->constants != constants || inputs.size() != arguments.size() ||
        this->stream != stream) {
      return false;
    }
    for (size_t i = 0; i < inputs.size(); i++) {
      const array& a = arguments[i];
      const array& b = inputs[i];
      bool fits = shapeless ? a.ndim() == b.ndim() : a.shape() == b.shape();
      if (a.dtype() != b.dtype() || !fits) {
        return false;
      }
    }
    return true;
  }
};

using TracePtr = std::shared_ptr<const Trace>;

class Cache {
 public:
  static Cache& instance() {
    static auto* cache = new Cache;
    return *cache;
  }

  TracePtr find(std::uintptr_t fun_id, const std::vector<array>& inputs, bool shapeless,
                const std::vector<uint64_t>& constants, const Stream& stream) {
    std::lock_guard lock(mutex_);
    for (auto& trace : traces_[fun_id]) {
      if (trace->serves(inputs, shapeless, constants, stream)) {
        return trace;
      }
    }
    return nullptr;
  }

  void add(std::uintptr_t fun_id, TracePtr trace) {
    std::lock_guard lock(mutex_);
    traces_[fun_id].push_back(std::move(trace));
  }

  void erase(std::uintptr_t fun_id) {
    std::vector<TracePtr> dropped;  // destroyed after the lock is released
    std::lock_guard lock(mutex_);
    if (auto it = traces_.find(fun_id); it != traces_.end()) {
      dropped = std::move(it->second);
      traces_.erase(it);
    }
  }

  void clear() {
    std::unordered_map<std::uintptr_t, std::vector<TracePtr>> dropped;
    std::lock_guard lock(mutex_);
    dropped.swap(traces_);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<std::uintptr_t, std::vector<TracePtr>> traces_;
};

TracePtr make_trace(const ArraysFn& fun, const std::vector<array>& inputs, bool shapeless,
                    std::vector<uint64_t> constants) {
  TracingScope scope;
  std::vector<array> arguments;
  for (auto& in : inputs) {
    arguments.push_back(make_placeholder(in.shape(), in.dtype()));
  }
  auto outputs = fun(arguments);
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
  Recording recording(tape, arguments, outputs);
  return std::make_shared<Trace>(
      Trace{to_stream({}), std::move(arguments), std::move(recording), std::move(constants)});
}

}  // namespace

bool compile_enabled() { return mode != CompileMode::disabled; }

ArraysFn compile(ArraysFn fun, std::uintptr_t fun_id, bool shapeless,
                 std::vector<uint64_t> constants) {
  return [fun = std::move(fun), fun_id, shapeless,
          constants = std::move(constants)](const std::vector<array>& inputs) {
    if (!compile_enabled()) {
      return fun(inputs);
    }
    auto& cache = Cache::instance();
    auto trace = cache.find(fun_id, inputs, shapeless, constants, to_stream({}));
    if (!trace) {
      trace = make_trace(fun, inputs, shapeless, constants);
      cache.add(fun_id, trace);
    }
    return trace->recording.replay(inputs, shapeless);
  };
}

void erase_compiled(std::uintptr_t fun_id) { Cache::instance().erase(fun_id); }

void clear_compiled() { Cache::instance().clear(); }

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
  auto compiled = detail::compile(std::move(fun), id->id, shapeless);
  return [id, compiled](const std::vector<array>& inputs) { return compiled(inputs); };
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
