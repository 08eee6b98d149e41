// Planning of a program: a linear scan over the instructions that gives each temporary value a
// register and returns the register after the value's last use.
#include "mlx/backend/cpu/program_plan.h"

#include <algorithm>

namespace mlx::core::cpu {

namespace {

int64_t cost_of(const Instruction& step) {
  DtypeRule rule = elementwise_info(step.op).rule;
  bool function = rule == DtypeRule::Float || rule == DtypeRule::RealFloat;
  if (!function && step.op != ElementwiseOp::Power && step.op != ElementwiseOp::Remainder) return 1;
  // Functions of double and complex run element by element.
  return step.type == float64 || is_complex_dtype(step.type) ? 60 : 6;
}

class Planner {
 public:
  explicit Planner(const Program& program) : program_(program) {}

  ProgramPlan make() {
    find_last_reads();
    place_outputs();
    for (size_t k = 0; k < program_.code.size(); ++k) plan_step(k);
    plan_.last_read.assign(last_.begin(), last_.begin() + inputs());
    return std::move(plan_);
  }

 private:
  size_t inputs() const { return program_.inputs.size(); }

  void find_last_reads() {
    last_.assign(inputs() + program_.code.size(), -1);
    for (size_t k = 0; k < program_.code.size(); ++k) {
      const auto& step = program_.code[k];
      for (int i = 0; i < elementwise_info(step.op).arity; ++i) last_[step.args[i]] = k;
    }
  }

  void place_outputs() {
    plan_.slot.assign(last_.size(), ProgramPlan::in_place);
    is_output_.assign(last_.size(), false);
    for (size_t o = 0; o < program_.outputs.size(); ++o) {
      uint16_t value = program_.outputs[o];
      if (value < inputs() || is_output_[value]) {
        plan_.copies.push_back({value, static_cast<uint16_t>(o)});
        plan_.made_by.push_back(-1);
        last_[value] = static_cast<int>(program_.code.size());
      } else {
        plan_.made_by.push_back(static_cast<int>(value - inputs()));
        is_output_[value] = true;
      }
    }
  }

  void plan_step(size_t k) {
    const auto& step = program_.code[k];
    int arity = elementwise_info(step.op).arity;
    uint16_t value = static_cast<uint16_t>(inputs() + k);
    // A register may be reused for the result at once when the kernel can work in place.
    release_dead(step, arity, k, true);
    if (!is_output_[value]) plan_.slot[value] = take(step.result.size());
    release_dead(step, arity, k, false);
    if (!is_output_[value] && last_[value] < 0) free_.push_back(plan_.slot[value]);

    RowKernel kernel = step.op == ElementwiseOp::Cast ? cast_kernel(step.type, step.result)
                                                      : elementwise_kernel(step.op, step.type);
    uint16_t a = step.args[0];
    plan_.steps.push_back(
        {kernel, value, a, arity > 1 ? step.args[1] : a, arity > 2 ? step.args[2] : a});
    plan_.cost += cost_of(step);
  }

  void release_dead(const Instruction& step, int arity, size_t k, bool same_size) {
    for (int i = 0; i < arity; ++i) {
      uint16_t arg = step.args[i];
      bool repeated = std::find(step.args, step.args + i, arg) != step.args + i;
      bool fits = program_.type_of(arg).size() == step.result.size();
      int slot = plan_.slot[arg];
      if (slot < 0 || repeated || fits != same_size || last_[arg] != static_cast<int>(k)) continue;
      free_.push_back(slot);
    }
  }

  int take(uint8_t size) {
    if (free_.empty()) {
      plan_.slot_size.push_back(size);
      return static_cast<int>(plan_.slot_size.size()) - 1;
    }
    int slot = free_.back();
    free_.pop_back();
    plan_.slot_size[slot] = std::max(plan_.slot_size[slot], size);
    return slot;
  }

  const Program& program_;
  ProgramPlan plan_;
  std::vector<int> last_;
  std::vector<bool> is_output_;
  std::vector<int> free_;
};

}  // namespace

std::shared_ptr<const ProgramPlan> plan_of(const Program& program) {
  auto known = std::static_pointer_cast<const ProgramPlan>(program.plan.get());
  if (known) return known;
  program.validate();
  auto made = std::make_shared<const ProgramPlan>(Planner(program).make());
  program.plan.set(made);
  return made;
}

}  // namespace mlx::core::cpu
