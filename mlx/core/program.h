// The fused program: a short list of element-wise instructions over typed values. It is what a
// single element-wise op is, what planning makes of a chain of ops and keeps with the plan, and
// what other kernels take as a prologue or epilogue. Backends interpret it or compile it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mlx/dtype.h"
#include "mlx/optable/elementwise.h"

namespace mlx::core {

/** One operation. Values have numbers: the program's inputs first, then one per instruction in
 *  order (static single assignment), so instruction k makes value inputs.size() + k. */
struct Instruction {
  ElementwiseOp op;
  Dtype type;    // of the inputs (Select: of the two choices; its condition is bool)
  Dtype result;  // of the value made; elementwise_result_type, or the target of a Cast
  uint16_t args[3] = {0, 0, 0};  // value numbers; those past the arity stay 0

  bool operator==(const Instruction& other) const;
};

/** A backend's compiled form, kept with the program that it belongs to. Copies start empty, and
 *  it takes no part in equality. */
class PlanSlot {
 public:
  PlanSlot() = default;
  PlanSlot(const PlanSlot&) {}
  PlanSlot& operator=(const PlanSlot&) { return *this; }

  std::shared_ptr<const void> get() const { return std::atomic_load(&plan_); }
  void set(std::shared_ptr<const void> plan) const { std::atomic_store(&plan_, std::move(plan)); }

 private:
  mutable std::shared_ptr<const void> plan_;
};

struct Program {
  std::vector<Dtype> inputs;
  std::vector<Instruction> code;
  std::vector<uint16_t> outputs;  // value numbers; an input's number is allowed
  PlanSlot plan;

  /** Most values a program may number. */
  static constexpr size_t max_values = 60000;

  Dtype type_of(uint16_t value) const {
    return value < inputs.size() ? inputs[value] : code[value - inputs.size()].result;
  }

  /** Appends an instruction and returns the number of its value. The result dtype follows from
   *  the op; give it for Cast. */
  uint16_t add(ElementwiseOp op, uint16_t a, uint16_t b = 0, uint16_t c = 0);
  uint16_t add_cast(uint16_t arg, Dtype to);

  /** Throws an internal error unless every argument precedes its use and every dtype fits. */
  void validate() const;

  bool operator==(const Program& other) const {
    return inputs == other.inputs && code == other.code && outputs == other.outputs;
  }
  size_t hash() const;

  /** One line per value, for people: `%2: float32 = Add %0 %1`. */
  std::string to_string() const;
};

}  // namespace mlx::core
