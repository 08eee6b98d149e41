// Reads and writes under a mask on the GPU: three kernels, none of which the host waits for.
#include "mlx/backend/cuda/mask.h"

#include <algorithm>

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/mask_call.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/runtime/reports.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/primitives/mask.h"

namespace mlx::core::cuda {

namespace {

using kernels::Mask;

constexpr int64_t words_per_block = 4096, most_parts = 65535;

struct MaskWork {
  Mask call{};
  size_t word;

  MaskWork(const array& a, const array& mask, const Stream& s)
      : word(a.itemsize()), offsets_((num_blocks(mask) + 1) * sizeof(int64_t), s) {
    call.count = static_cast<int64_t>(mask.size());
    call.row = static_cast<int64_t>(a.size()) / call.count;
    call.blocks = static_cast<int64_t>(num_blocks(mask));
    call.mask = static_cast<const uint8_t*>(input_address(mask, s));
    call.offsets = static_cast<int64_t*>(offsets_.get());
    call.in = input_address(a, s);
  }

  /** Counts in words of up to 16 bytes where all rows start at one. */
  void widen() {
    auto addresses = reinterpret_cast<uint64_t>(call.in) | reinterpret_cast<uint64_t>(call.out) |
                     reinterpret_cast<uint64_t>(call.values);
    while (word < 16 && call.row % 2 == 0 && call.given % 2 == 0 && addresses % (2 * word) == 0) {
      word *= 2;
      call.row /= 2;
      call.given /= 2;
    }
  }

  void run(KernelCall (*call_for)(size_t word, bool single), const Stream& s) {
    auto blocks = blocks_for(call.blocks, 1);
    launch(kernel_of(count_true_call(), s), blocks, kernels::mask_threads, s, call);
    launch(kernel_of(sum_counts_call(), s), 1, kernels::mask_threads, s, call);
    int64_t words = std::min<int64_t>(call.count, kernels::mask_block) * call.row;
    auto parts = std::clamp<int64_t>(words / words_per_block, 1, most_parts);
    launch(kernel_of(call_for(word, call.row == 1), s), dim3(blocks, static_cast<unsigned>(parts)),
           kernels::mask_threads, s, call);
  }

 private:
  static size_t num_blocks(const array& mask) {
    return (mask.size() + kernels::mask_block - 1) / kernels::mask_block;
  }

  Scratch offsets_;
};

void eval_select(MaskedSelect& primitive, const std::vector<array>& inputs,
                 std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  allocate_output(outputs[0], s);
  if (outputs[0].size() == 0) {
    return;
  }
  array a = contiguous(inputs[0], s), mask = contiguous(inputs[1], s);
  MaskWork work(a, mask, s);
  work.call.out = output_address(outputs[0]);
  work.widen();
  work.run(select_rows_call, s);
}

void eval_scatter(MaskedScatter& primitive, const std::vector<array>& inputs,
                  std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  array& out = outputs[0];
  array a = contiguous_for(inputs[0], out, s);
  if (out.size() == 0) {
    return;
  }
  array mask = contiguous(inputs[1], s), values = contiguous(inputs[2], s);
  MaskWork work(a, mask, s);
  work.call.fault = open_report(out, s);
  work.call.out = output_address(out);
  work.call.given = static_cast<int64_t>(values.size());
  work.call.values = values.size() ? input_address(values, s) : nullptr;
  work.widen();
  work.run(scatter_rows_call, s);
}

const Register<MaskedSelect> masked_select(eval_select);
const Register<MaskedScatter> masked_scatter(eval_scatter);

KernelCall call_of(std::string function) {
  return {"mask.h", "Mask", std::move(function), kernels::mask_threads};
}

std::string row_types(size_t word, bool single) {
  return std::string("<") + word_name(word) + (single ? ", true>" : ", false>");
}

}  // namespace

KernelCall count_true_call() { return call_of("count_true"); }
KernelCall sum_counts_call() { return call_of("sum_counts"); }

KernelCall select_rows_call(size_t word, bool single) {
  return call_of("select_rows" + row_types(word, single));
}
KernelCall scatter_rows_call(size_t word, bool single) {
  return call_of("scatter_rows" + row_types(word, single));
}

}  // namespace mlx::core::cuda
