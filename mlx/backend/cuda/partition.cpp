// Partition on the GPU: rows that fit a block are sorted, longer ones dealt out around the kth key.
#include "mlx/backend/cuda/partition.h"
#include "mlx/backend/cuda/host.h"

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/order_sizes.h"
#include "mlx/backend/cuda/kernels/select_call.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/sort.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/primitives/sort.h"

namespace mlx::core::cuda {

namespace {

using namespace kernels;

constexpr int64_t pivot_bytes = sizeof(kernels::Pivot);

/** The memory that one selection needs besides input and output, all zero at first. */
struct Memory {
  Memory(int64_t rows, int64_t passes, int64_t deal_tiles, const Stream& s)
      : rows(rows),
        progress_bytes(rows * deal_tiles * 8),
        pass_bytes(rows * (select_digits + 1) * 4),
        size(static_cast<size_t>(rows * pivot_bytes + progress_bytes + passes * pass_bytes + 8)),
        scratch(size, s) {
    clear(scratch.get(), size, s);
  }
  char* pivots() const { return static_cast<char*>(scratch.get()); }
  char* progress() const { return pivots() + rows * pivot_bytes; }
  char* ticket() const { return progress() + progress_bytes; }
  char* counts(int64_t pass) const { return ticket() + 8 + pass * pass_bytes; }
  char* finished(int64_t pass) const { return counts(pass) + rows * select_digits * 4; }

  int64_t rows, progress_bytes, pass_bytes;
  size_t size;
  Scratch scratch;
};

void partition_long(const array& in, array& out, int64_t kth, bool positions, const Stream& s) {
  int64_t length = in.shape(-1), rows = static_cast<int64_t>(in.size()) / length;
  auto bits = static_cast<int64_t>(8 * in.itemsize());
  int64_t passes = (bits + select_bits - 1) / select_bits;
  int64_t deal_tiles = (length + deal_tile - 1) / deal_tile;
  Memory memory(rows, passes, deal_tiles, s);
  auto start = [&](const KernelCall& kernel, int64_t tiles, int64_t pass) {
    kernels::Selection call{};
    call.rows = rows;
    call.length = length;
    call.kth = kth;
    call.tiles = tiles;
    call.pass = pass;
    call.in = input_address(in, s);
    call.out = output_address(out);
    call.pivots = reinterpret_cast<kernels::Pivot*>(memory.pivots());
    call.counts = reinterpret_cast<uint32_t*>(memory.counts(pass));
    call.finished = reinterpret_cast<uint32_t*>(memory.finished(pass));
    call.ticket = reinterpret_cast<uint32_t*>(memory.ticket());
    call.progress = reinterpret_cast<uint64_t*>(memory.progress());
    launch(kernel_of(kernel, s), blocks_for(rows * tiles, 1), select_threads, s, call);
  };
  for (int64_t pass = 0; pass < passes; pass++) {
    start(key_count_call(in.dtype()), (length + count_tile - 1) / count_tile, pass);
  }
  start(deal_call(in.dtype(), positions), deal_tiles, 0);
}

void eval_partition(Partition& primitive, const std::vector<array>& inputs,
                    std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  array in = contiguous(inputs[0], s);
  if (sorts_in_block(in.dtype(), in.shape(-1))) {
    sort_rows(in, in.shape(-1), out, primitive.positions(), s);
  } else {
    partition_long(in, out, primitive.kth(), primitive.positions(), s);
  }
}

const Register<Partition> partition(host_if_wide<Partition, eval_partition>);

}  // namespace

KernelCall key_count_call(Dtype dtype) {
  return {"select.h", "Selection", std::string("count_keys<") + type_name(dtype) + ">"};
}

KernelCall deal_call(Dtype dtype, bool positions) {
  return {"select.h", "Selection",
          std::string("deal_out<") + type_name(dtype) + (positions ? ", true>" : ", false>")};
}

}  // namespace mlx::core::cuda
