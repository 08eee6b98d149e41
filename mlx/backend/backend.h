// The contract of a device backend other than the CPU. It lives in a library of its own that is
// loaded when the machine has the device, so one build serves machines with and without it.
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
};

/** The rules of a device's backend. */
const StepRules& step_rules(const Device& d);
const StepRules& cpu_step_rules();

class Backend : public StepRules {
 public:
  virtual int device_count() = 0;
  virtual const std::unordered_map<std::string, std::variant<std::string, size_t>>& device_info(
      int index) = 0;

  virtual MemoryPool& memory() = 0;

  /**
   * Queues a primitive on its stream and gives the outputs their device memory; throws
   * std::invalid_argument if the backend lacks the primitive. Inputs may be in host memory.
   */
  virtual void eval(Primitive& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) = 0;

  /** Comes before the first of `primitives` primitives in a row of one stream. */
  virtual void begin_batch(const Stream& stream, size_t primitives) = 0;

  /** An event whose signal is queued on the stream. */
  virtual std::shared_ptr<EventState> new_event(const Stream& stream) = 0;

  /** Blocks until all work queued on the stream is done. */
  virtual void synchronize(const Stream& stream) = 0;
};

/** What a backend's library exports: the backend, or nullptr and the reason. */
using BackendEntry = Backend* (*)(std::string* why_not);
inline constexpr const char* backend_entry_name = "mlx_backend";

/** The GPU backend, loaded on first use; nullptr where there is none. */
Backend* gpu_backend();

/** Why a device cannot be used, as a sentence. */
std::string unavailable_reason(const Device& d);

}  // namespace mlx::core
