// Building, checking and printing of fused programs.
#include "mlx/core/program.h"

#include <algorithm>
#include <sstream>

#include "mlx/core/errors.h"

namespace mlx::core {

namespace {

/** Position of the argument that carries the instruction's type (Select's first is a condition). */
int typed_argument(ElementwiseOp op) { return op == ElementwiseOp::Select ? 1 : 0; }

void mix(size_t& seed, size_t value) {
  seed ^= value + 0x9e3779b97f4a7c15ull + (seed << 6) + (seed >> 2);
}

}  // namespace

bool Instruction::operator==(const Instruction& other) const {
  return op == other.op && type == other.type && result == other.result &&
         std::equal(args, args + 3, other.args);
}

uint16_t Program::add(ElementwiseOp op, uint16_t a, uint16_t b, uint16_t c) {
  internal_check(op != ElementwiseOp::Cast, "a cast needs its result dtype");
  internal_check(inputs.size() + code.size() < max_values, "program too long");
  Dtype type = type_of(typed_argument(op) == 0 ? a : b);
  code.push_back({op, type, elementwise_result_type(op, type), {a, b, c}});
  return static_cast<uint16_t>(inputs.size() + code.size() - 1);
}

uint16_t Program::add_cast(uint16_t arg, Dtype to) {
  internal_check(inputs.size() + code.size() < max_values, "program too long");
  code.push_back({ElementwiseOp::Cast, type_of(arg), to, {arg, 0, 0}});
  return static_cast<uint16_t>(inputs.size() + code.size() - 1);
}

void Program::validate() const {
  internal_check(inputs.size() + code.size() <= max_values, "program too long");
  internal_check(!outputs.empty(), "program without outputs");
  for (size_t k = 0; k < code.size(); ++k) {
    const auto& step = code[k];
    const auto& info = elementwise_info(step.op);
    for (int i = 0; i < info.arity; ++i) {
      internal_check(step.args[i] < inputs.size() + k, "argument used before it is made");
      Dtype wanted = i < typed_argument(step.op) ? bool_ : step.type;
      internal_check(type_of(step.args[i]) == wanted, "argument of the wrong dtype");
    }
    internal_check(elementwise_accepts(step.op, step.type), "no kernel for this dtype");
    internal_check(step.op == ElementwiseOp::Cast ||
                       step.result == elementwise_result_type(step.op, step.type),
                   "wrong result dtype");
  }
  for (uint16_t value : outputs) {
    internal_check(value < inputs.size() + code.size(), "output is no value of the program");
  }
}

size_t Program::hash() const {
  size_t seed = inputs.size();
  for (Dtype t : inputs) mix(seed, static_cast<size_t>(t.val()));
  for (const auto& step : code) {
    mix(seed, static_cast<size_t>(step.op) << 16 | static_cast<size_t>(step.type.val()) << 8 |
                  static_cast<size_t>(step.result.val()));
    for (uint16_t arg : step.args) mix(seed, arg);
  }
  for (uint16_t value : outputs) mix(seed, value);
  return seed;
}

std::string Program::to_string() const {
  std::ostringstream os;
  for (size_t i = 0; i < inputs.size(); ++i) {
    os << "%" << i << ": " << dtype_name(inputs[i]) << " = input\n";
  }
  for (size_t k = 0; k < code.size(); ++k) {
    const auto& info = elementwise_info(code[k].op);
    os << "%" << inputs.size() + k << ": " << dtype_name(code[k].result) << " = " << info.name;
    for (int i = 0; i < info.arity; ++i) os << " %" << code[k].args[i];
    os << "\n";
  }
  os << "return";
  for (uint16_t value : outputs) os << " %" << value;
  os << "\n";
  return os.str();
}

}  // namespace mlx::core
