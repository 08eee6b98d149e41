// The backend as the library sees it: its entry, and dispatch of primitives.
#include "mlx/backend/backend.h"

#include <unordered_map>

#include "mlx/backend/common/residual_norm.h"
#include "mlx/backend/cuda/foresight.h"
#include "mlx/backend/cuda/joined.h"
#include "mlx/backend/cuda/made_row.h"
#include "mlx/backend/cuda/matmul.h"
#include "mlx/backend/cuda/norm.h"
#include "mlx/backend/cuda/program.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/allocator.h"
#include "mlx/backend/cuda/runtime/streams.h"
#include "mlx/backend/cuda/runtime/time_mark.h"
#include "mlx/core/errors.h"

namespace mlx::core::cuda {

namespace {

class CudaBackend : public Backend {
 public:
  int device_count() override { return count_; }

  const DeviceInfo& device_info(int index) override {
    static auto* all = new std::unordered_map<int, DeviceInfo>(facts_by_name(count_));
    return all->at(index);
  }

  MemoryPool& memory() override { return device_pool(); }

  bool supports(const Primitive& primitive, const std::vector<array>& inputs) const override {
    return is_view(primitive) || primitive_table().supports(primitive, inputs);
  }

  void eval(BuiltinPrimitive& primitive, const std::vector<array>& inputs,
            std::vector<array>& outputs) override {
    OpScope scope(primitive.name());
    RowScope row;
    if (primitive.is_view()) {
      primitive.eval_cpu(inputs, outputs);  // shares buffers, whatever memory they are in
      return;
    }
    auto* entry = primitive_table().find(primitive);
    check(entry != nullptr, primitive.name(),
          "This operation is not available on the GPU in this version; run it with "
          "stream=mx.cpu.");
    entry->eval(primitive, inputs, outputs);
  }

  bool fuses_prologue(const Primitive& root, const Program& program, bool) const override {
    return is_residual_norm(root, program);
  }

  bool fuses_epilogue(const Primitive& root, const Program& program,
                      const std::vector<bool>& zeros) const override {
    return rectifies_product(root, program, zeros) || adds_to_norm_gradient(root, program);
  }

  bool makes_words_in_programs() const override { return true; }

  Joining joins(const Primitive& primitive) const override { return joining_of(primitive); }

  bool sums_operands(const Primitive& product, const Primitive& reduction,
                     Dtype type) const override {
    return sums_with_product(product, reduction, type);
  }

  size_t joins_programs(const Program& program) const override { return most_joined(program); }

  bool recomputes_values() const override { return true; }

  void begin_batch(const Stream& stream, size_t primitives, bool is_nested) override {
    expect_rows(primitives);
    try {
      recorder_of(stream).expect(primitives, is_nested);
    } catch (const std::exception&) {
      // The first primitive meets the same failure, and can report it.
    }
  }

  void foresee(const Primitive& primitive, const std::vector<array>& inputs,
               const std::vector<array>& outputs) noexcept override {
    cuda::foresee(primitive, inputs, outputs);
  }

  std::shared_ptr<EventState> new_event(const Stream& stream) override {
    return make_event(stream);
  }

  std::shared_ptr<TimeMark> mark_begin(const Stream& stream) override {
    return cuda::mark_begin(stream);
  }

  std::shared_ptr<TimeMark> mark_end(const Stream& stream) override {
    return cuda::mark_end(stream);
  }

 private:
  static bool is_view(const Primitive& primitive) {
    bool builtin = primitive.type_number() != 0;
    return builtin && static_cast<const BuiltinPrimitive&>(primitive).is_view();
  }

  static std::unordered_map<int, DeviceInfo> facts_by_name(int count) {
    std::unordered_map<int, DeviceInfo> all;
    for (int i = 0; i < count; i++) {
      const auto& facts = device_facts(i);
      all[i] = {{"device_name", facts.name},
                {"architecture", "sm_" + std::to_string(facts.major) + std::to_string(facts.minor)},
                {"memory_size", facts.memory},
                {"multiprocessors", static_cast<size_t>(facts.multiprocessors)}};
    }
    return all;
  }

  // Kernels are cached by source alone, so one device is used; the first.
  const int count_ = 1;
};

}  // namespace

PrimitiveTable& primitive_table() {
  static auto* table = new PrimitiveTable;
  return *table;
}

}  // namespace mlx::core::cuda

extern "C" mlx::core::Backend* mlx_backend(std::string* why_not) {
  if (mlx::core::cuda::count_devices(why_not) == 0) {
    return nullptr;
  }
  static auto* backend = new mlx::core::cuda::CudaBackend;
  return backend;
}
