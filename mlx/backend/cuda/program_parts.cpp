// Cutting programs into parts. A part numbers its own values from 0, so that equal pieces of a long
// chain are one kernel.
#include "mlx/backend/cuda/program_parts.h"

#include <algorithm>
#include <optional>

#include "mlx/backend/cuda/runtime/operand.h"

namespace mlx::core::cuda {

namespace {

constexpr size_t most_instructions = 64;
constexpr size_t most_arrays = 64;

class Parts {
 public:
  Parts(const Program& program, const std::vector<array>& inputs, std::vector<array>& outputs,
        const Stream& s)
      : program_(program), outputs_(outputs), stream_(s), shape_(outputs[0].shape()) {
    values_.resize(inputs.size() + program.code.size());
    last_use_.assign(values_.size(), 0);
    for (size_t i = 0; i < inputs.size(); i++) {
      values_[i] = inputs[i];
    }
    for (size_t k = 0; k < program.code.size(); k++) {
      for (int i = 0; i < arity(k); i++) {
        last_use_[program.code[k].args[i]] = k;
      }
    }
    for (uint16_t value : program.outputs) {
      last_use_[value] = program.code.size();
    }
  }

  void run() {
    for (size_t begin = 0; begin < program_.code.size();) {
      size_t end = end_of_part(begin);
      run_part(begin, end);
      begin = end;
    }
    for (size_t o = 0; o < outputs_.size(); o++) {
      store(program_.outputs[o], outputs_[o]);
    }
  }

 private:
  size_t inputs() const { return program_.inputs.size(); }
  int arity(size_t k) const { return elementwise_info(program_.code[k].op).arity; }

  size_t end_of_part(size_t begin) const {
    std::vector<uint16_t> reads;
    size_t end = begin;
    for (; end < program_.code.size() && end - begin < most_instructions; end++) {
      for (int i = 0; i < arity(end); i++) {
        uint16_t arg = program_.code[end].args[i];
        if (arg < inputs() + begin && std::find(reads.begin(), reads.end(), arg) == reads.end()) {
          reads.push_back(arg);
        }
      }
      if (reads.size() > most_arrays) {
        break;
      }
    }
    return end;
  }

  void run_part(size_t begin, size_t end) {
    Program part;
    std::vector<uint16_t> reads;
    for (size_t k = begin; k < end; k++) {
      for (int i = 0; i < arity(k); i++) {
        uint16_t arg = program_.code[k].args[i];
        if (arg < inputs() + begin && std::find(reads.begin(), reads.end(), arg) == reads.end()) {
          reads.push_back(arg);
          part.inputs.push_back(program_.type_of(arg));
        }
      }
    }
    std::vector<array> made;
    std::vector<uint16_t> made_values;
    for (size_t k = begin; k < end; k++) {
      part.code.push_back(renumbered(k, begin, reads));
      auto value = static_cast<uint16_t>(inputs() + k);
      if (last_use_[value] >= end) {
        part.outputs.push_back(static_cast<uint16_t>(reads.size() + k - begin));
        made.push_back(array(shape_, program_.type_of(value), nullptr, {}));
        made_values.push_back(value);
      }
    }
    std::vector<array> arrays;
    for (uint16_t value : reads) {
      arrays.push_back(*values_[value]);
      if (last_use_[value] < end) {
        values_[value].reset();
      }
    }
    if (!made.empty()) {
      run_kernel(part, arrays, made, stream_);
    }
    for (size_t i = 0; i < made.size(); i++) {
      values_[made_values[i]] = std::move(made[i]);
    }
  }

  Instruction renumbered(size_t k, size_t begin, const std::vector<uint16_t>& reads) const {
    Instruction step = program_.code[k];
    for (int i = 0; i < arity(k); i++) {
      uint16_t arg = step.args[i];
      auto at = std::find(reads.begin(), reads.end(), arg);
      step.args[i] = static_cast<uint16_t>(
          at != reads.end() ? at - reads.begin()
                            : static_cast<int64_t>(reads.size() + arg - inputs() - begin));
    }
    return step;
  }

  void store(uint16_t value, array& out) {
    Program copy;
    copy.inputs = {program_.type_of(value)};
    copy.outputs = {0};
    if (value >= inputs()) {
      out.copy_shared_buffer(*values_[value]);
      return;
    }
    std::vector<array> arrays = {*values_[value]}, made = {out};
    run_kernel(copy, arrays, made, stream_);
  }

  const Program& program_;
  std::vector<array>& outputs_;
  Stream stream_;
  Shape shape_;
  std::vector<std::optional<array>> values_;
  std::vector<size_t> last_use_;
};

}  // namespace

bool fits_one_kernel(const Program& program) {
  return program.code.size() <= most_instructions &&
         program.inputs.size() + program.outputs.size() <= 2 * most_arrays;
}

void run_in_parts(const Program& program, const std::vector<array>& inputs,
                  std::vector<array>& outputs, const Stream& s) {
  Parts(program, inputs, outputs, s).run();
}

}  // namespace mlx::core::cuda
