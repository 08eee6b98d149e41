// What the interpreter works out once per program and keeps with it: kernels, and which register
// each value lives in.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "mlx/backend/cpu/elementwise.h"
#include "mlx/core/program.h"

namespace mlx::core::cpu {

struct PlannedStep {
  RowKernel kernel;
  uint16_t dst, a, b, c;  // value numbers; arguments past the arity repeat the first
};

/** An output whose value is made elsewhere: a program input, or a value that is output twice. */
struct OutputCopy {
  uint16_t value;
  uint16_t output;
};

struct ProgramPlan {
  static constexpr int in_place = -1;

  std::vector<PlannedStep> steps;
  /** Per value: its register, or in_place for inputs and for values written to an output. */
  std::vector<int> slot;
  /** Bytes per element of each register. */
  std::vector<uint8_t> slot_size;
  /** Per output: the step that writes it, or -1 where it is a copy. */
  std::vector<int> made_by;
  std::vector<OutputCopy> copies;
  /** Per program input: the last step that reads it; a number past all steps if a copy does. */
  std::vector<int> last_read;
  /** Rough time per element, in units of a cheap vectorised op. */
  int64_t cost = 0;
};

/** The plan of this program, made at the first call. Safe to call from several threads. */
std::shared_ptr<const ProgramPlan> plan_of(const Program& program);

}  // namespace mlx::core::cpu
