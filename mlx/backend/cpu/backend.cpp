// The CPU behind the contract of all backends.
#include "mlx/backend/backend.h"

#include <sys/sysinfo.h>

#include <algorithm>
#include <fstream>
#include <typeinfo>

#include "mlx/backend/common/residual_norm.h"
#include "mlx/backend/cpu/epilogue.h"
#include "mlx/backend/cpu/matmul.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/backend/cpu/runtime/event.h"
#include "mlx/core/errors.h"
#include "mlx/primitives/conv.h"
#include "mlx/primitives/reduce.h"

namespace mlx::core {

namespace cpu {

namespace {

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) {
      return line.substr(std::min(line.find(':') + 2, line.size()));
    }
  }
  return "unknown";
}

DeviceInfo cpu_info() {
  struct sysinfo memory {};
  sysinfo(&memory);
  return {{"device_name", cpu_model()},
          {"architecture", std::string("x86_64")},
          {"memory_size", static_cast<size_t>(memory.totalram) * memory.mem_unit}};
}

class CpuBackend final : public Backend {
 public:
  int device_count() override { return 1; }

  const DeviceInfo& device_info(int) override {
    static const auto* info = new DeviceInfo(cpu_info());
    return *info;
  }

  MemoryPool& memory() override { return host_memory_pool(); }

  bool supports(const Primitive& primitive, const std::vector<array>& inputs) const override {
    return primitive_table().supports(primitive, inputs);
  }

  /** Reductions of what a program computes, and norms of sums. */
  bool fuses_prologue(const Primitive& root, const Program& program, bool keeps) const override {
    bool is_reduction = typeid(root) == typeid(Reduce) && program.outputs.size() == 1;
    return (is_reduction && !keeps) || is_residual_norm(root, program);
  }

  /** Any program of one result behind a product or a convolution. */
  bool fuses_epilogue(const Primitive& root, const Program& program,
                      const std::vector<bool>&) const override {
    bool takes_one = is_product(root) || typeid(root) == typeid(Convolution);
    return takes_one && can_be_epilogue(program);
  }

  bool makes_words_in_programs() const override { return false; }

  bool recomputes_values() const override { return false; }

  void eval(BuiltinPrimitive& primitive, const std::vector<array>& inputs,
            std::vector<array>& outputs) override {
    auto* entry = primitive_table().find(primitive);
    check(entry != nullptr, primitive.name(), "This operation cannot run on the CPU.");
    entry->eval(primitive, inputs, outputs);
  }

  void begin_batch(const Stream&, size_t, bool) override {}
  void foresee(const Primitive&, const std::vector<array>&,
               const std::vector<array>&) noexcept override {}

  std::shared_ptr<EventState> new_event(const Stream& stream) override {
    return make_event(stream);
  }
};

}  // namespace

PrimitiveTable& primitive_table() {
  static auto* table = new PrimitiveTable;
  return *table;
}

}  // namespace cpu

Backend& cpu_backend() {
  static auto* backend = new cpu::CpuBackend;
  return *backend;
}

}  // namespace mlx::core
