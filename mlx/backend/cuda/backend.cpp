// The backend as the library sees it: its entry, and dispatch of primitives.
#include "mlx/backend/backend.h"

#include <typeindex>
#include <unordered_map>

#include "mlx/backend/cuda/matmul.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/allocator.h"
#include "mlx/backend/cuda/runtime/streams.h"
#include "mlx/core/errors.h"

namespace mlx::core::cuda {

namespace {

struct Entry {
  EvalFn eval;
  SupportsFn supports;
};

std::unordered_map<std::type_index, Entry>& registry() {
  static auto* functions = new std::unordered_map<std::type_index, Entry>;
  return *functions;
}

using DeviceInfo = std::unordered_map<std::string, std::variant<std::string, size_t>>;

class CudaBackend : public Backend {
 public:
  int device_count() override { return count_; }

  const DeviceInfo& device_info(int index) override {
    static auto* all = new std::unordered_map<int, DeviceInfo>(facts_by_name(count_));
    return all->at(index);
  }

  MemoryPool& memory() override { return device_pool(); }

  void eval(Primitive& primitive, const std::vector<array>& inputs,
            std::vector<array>& outputs) override {
    OpScope scope(primitive.name());
    auto* builtin = dynamic_cast<BuiltinPrimitive*>(&primitive);
    if (builtin && builtin->is_view()) {
      primitive.eval_cpu(inputs, outputs);  // shares buffers, whatever memory they are in
      return;
    }
    check(run_registered(primitive, inputs, outputs), primitive.name(),
          "This operation is not available on the GPU in this version; run it with "
          "stream=mx.cpu.");
  }

  bool supports(const Primitive& primitive, const std::vector<array>& inputs) const override {
    return is_registered(primitive, inputs);
  }

  bool fuses_prologue(const Primitive&, const Program&, bool) const override { return false; }

  bool fuses_epilogue(const Primitive& root, const Program& program,
                      const std::vector<bool>& zeros) const override {
    return rectifies_product(root, program, zeros);
  }

  bool makes_words_in_programs() const override { return true; }

  void begin_batch(const Stream& stream, size_t primitives) override {
    try {
      recorder_of(stream).expect(primitives);
    } catch (const std::exception&) {
      // The first primitive meets the same failure, and can report it.
    }
  }

  std::shared_ptr<EventState> new_event(const Stream& stream) override {
    return make_event(stream);
  }

  void synchronize(const Stream& stream) override { synchronize_stream(stream); }

 private:
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

void register_primitive(const std::type_info& type, EvalFn eval, SupportsFn supports) {
  registry()[type] = {eval, supports};
}

bool is_registered(const Primitive& primitive, const std::vector<array>& inputs) {
  auto it = registry().find(typeid(primitive));
  return it != registry().end() && (!it->second.supports || it->second.supports(primitive, inputs));
}

bool run_registered(Primitive& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  auto it = registry().find(typeid(primitive));
  if (it == registry().end()) {
    return false;
  }
  it->second.eval(primitive, inputs, outputs);
  return true;
}

}  // namespace mlx::core::cuda

extern "C" mlx::core::Backend* mlx_backend(std::string* why_not) {
  if (mlx::core::cuda::count_devices(why_not) == 0) {
    return nullptr;
  }
  mlx::core::cuda::watch_forks();
  static auto* backend = new mlx::core::cuda::CudaBackend;
  return backend;
}
