// The contract of a device's backend. The CPU's is part of this library; one of another device
// lives in a library of its own that is loaded when the machine has the device, so one build serves
// machines with and without it.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "mlx/array.h"
#include "mlx/core/memory_pool.h"
#include "mlx/core/program.h"
#include "mlx/device.h"
#include "mlx/event.h"
#include "mlx/primitives.h"

namespace mlx::core {

using DeviceInfo = std::unordered_map<std::string, std::variant<std::string, size_t>>;

/** How steps of a primitive's type are joined with others of that type. */
struct Joining {
  size_t most = 1;          // steps that become one
  bool same_input = false;  // only if they read the same first input
  bool any_size = false;    // also if their results are large, since those are in memory already
};

/**
 * What planning asks a backend before it puts steps together. Answers may depend on types, dtypes
 * and programs, but not on shapes or parameters of primitives: a plan serves all graphs of one
 * structure. Only `supports` is asked anew for each graph.
 */
class StepRules {
 public:
  virtual ~StepRules() = default;

  /** Whether the backend runs this node; if not, its plain form takes its place. Asked for
   *  primitives that have one. */
  virtual bool supports(const Primitive& primitive, const std::vector<array>& inputs) const = 0;

  /** Whether `root` can run with the program in front of its first input, which is the program's
   * last output. With `keeps`, the program's outputs are stored as well. */
  virtual bool fuses_prologue(const Primitive& root, const Program& program, bool keeps) const = 0;

  /** Whether `root` can run with the program behind it, whose input 0 is the root's result. `zeros`
   *  tells which inputs are scalars known to be 0. */
  virtual bool fuses_epilogue(const Primitive& root, const Program& program,
                              const std::vector<bool>& zeros) const = 0;

  /** Whether programs can make the random words that they read. */
  virtual bool makes_words_in_programs() const = 0;

  /** Whether steps that need nothing of each other run as one. */
  virtual Joining joins(const Primitive&) const { return {}; }

  /** Whether a product makes the sums of an operand, which a reduction to `type` asks for, as it
   *  reads that operand. */
  virtual bool sums_operands(const Primitive&, const Primitive&, Dtype) const { return false; }

  /** How many runs of a program with arrays of their own become one step. */
  virtual size_t joins_programs(const Program&) const { return 1; }

  /** Whether reading a value takes programs longer than making it again. */
  virtual bool recomputes_values() const = 0;
};

/** A moment in the work of a stream. */
class TimeMark {
 public:
  virtual ~TimeMark() = default;
  /** Waits until the work has come to it; then when that was, in microseconds of the host's steady
   *  clock. */
  virtual double microseconds() = 0;
};

class Backend : public StepRules {
 public:
  virtual int device_count() = 0;
  virtual const DeviceInfo& device_info(int index) = 0;

  virtual MemoryPool& memory() = 0;

  /**
   * Runs a primitive or queues it on its stream, and gives the outputs their memory; throws
   * std::invalid_argument if the backend lacks the primitive. Inputs may be in host memory.
   */
  virtual void eval(BuiltinPrimitive& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) = 0;

  /** Comes before the first of `primitives` primitives in a row of one stream; `is_nested` if they
   *  are part of the work of a primitive in a row that has begun. */
  virtual void begin_batch(const Stream& stream, size_t primitives, bool is_nested) = 0;

  /** A primitive that will run soon, in a row that has no like so far: what running it takes may be
   *  made meanwhile. Inputs and outputs may have no data yet. */
  virtual void foresee(const Primitive& primitive, const std::vector<array>& inputs,
                       const std::vector<array>& outputs) noexcept = 0;

  /** An event of the stream's device, not signalled yet. */
  virtual std::shared_ptr<EventState> new_event(const Stream& stream) = 0;

  /** Marks the moment before the work that is queued next on the stream, and the one after all that
   *  was queued so far; where work is not queued, both are now. */
  virtual std::shared_ptr<TimeMark> mark_begin(const Stream& stream);
  virtual std::shared_ptr<TimeMark> mark_end(const Stream& stream);
};

/** What a backend's library exports: the backend, or nullptr and the reason. */
using BackendEntry = Backend* (*)(std::string* why_not);
inline constexpr const char* backend_entry_name = "mlx_backend";

/** The CPU's backend. */
Backend& cpu_backend();

/** The GPU's backend, loaded on first use; nullptr where there is none. */
Backend* gpu_backend();

/** The backend of a type of devices; nullptr where there is none. */
inline Backend* backend_of(Device::DeviceType type) {
  return type == Device::cpu ? &cpu_backend() : gpu_backend();
}

/** The rules of an available device's backend. */
inline const StepRules& step_rules(const Device& d) { return *backend_of(d.type); }

/** Why a device cannot be used, as a sentence. */
std::string unavailable_reason(const Device& d);

/** Sees every step of every stream, in the thread that runs it; a device that queues work may not
 *  have done it when `after_step` is called. */
class StepObserver {
 public:
  virtual ~StepObserver() = default;
  virtual void before_step(const Primitive& primitive, const std::vector<array>& inputs) = 0;
  /** Not called for a step that failed. What it throws is the step's failure. */
  virtual void after_step(const Primitive& primitive, const std::vector<array>& inputs,
                          const std::vector<array>& outputs) = 0;
  /** Whether `after_step` looks at the values of inputs, which outputs then do not take over. */
  virtual bool reads_inputs_after_step() const { return false; }
};

/** Shows the steps from now on to an observer, which has to outlive them. Throws std::runtime_error
 *  if there are too many. */
void add_step_observer(StepObserver* observer);
void remove_step_observer(StepObserver* observer);

/** Runs a primitive on its stream's device, under the eyes of the observers. */
void run_step(Primitive& primitive, const std::vector<array>& inputs, std::vector<array>& outputs);

}  // namespace mlx::core
