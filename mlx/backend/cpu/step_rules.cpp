// What the CPU runs as one step: everything as a node, and reductions of what a program computes.
#include <typeinfo>

#include "mlx/backend/backend.h"
#include "mlx/primitives/reduce.h"

namespace mlx::core {

namespace {

class CpuStepRules : public StepRules {
 public:
  bool supports(const Primitive&, const std::vector<array>&) const override { return true; }

  bool fuses_prologue(const Primitive& root, const Program& program, bool keeps) const override {
    return !keeps && typeid(root) == typeid(Reduce) && program.outputs.size() == 1;
  }

  bool fuses_epilogue(const Primitive&, const Program&, const std::vector<bool>&) const override {
    return false;
  }

  bool makes_words_in_programs() const override { return false; }
};

}  // namespace

const StepRules& cpu_step_rules() {
  static const auto* rules = new CpuStepRules;
  return *rules;
}

}  // namespace mlx::core
