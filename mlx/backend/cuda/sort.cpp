// Sort on the GPU: rows that fit a block by a network, longer ones byte by byte.
#include "mlx/backend/cuda/sort.h"
#include "mlx/backend/cuda/host.h"

#include <algorithm>
#include <array>
#include <memory>

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/order_sizes.h"
#include "mlx/backend/cuda/kernels/sort_long_call.h"
#include "mlx/backend/cuda/kernels/sort_short_call.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/primitives/sort.h"

namespace mlx::core::cuda {

namespace {

using namespace kernels;

void sort_short(const array& in, int64_t length, array& out, bool positions, const Stream& s) {
  int64_t padded = items_per_thread, threads = 256;
  while (padded < length) padded *= 2;
  threads = std::max(threads, padded / items_per_thread);
  int64_t rows = static_cast<int64_t>(in.size()) / length;
  kernels::ShortRows call{rows, length, padded, input_address(in, s), output_address(out)};
  KernelCall kernel = short_sort_call(in.dtype(), positions, static_cast<int>(threads));
  launch(kernel_of(kernel, s), blocks_for(rows, threads * items_per_thread / padded),
         static_cast<unsigned>(threads), s, call);
}

/** One long sort: its buffers, and a launch per byte of the keys. */
class LongSort {
 public:
  LongSort(const array& in, int64_t length, bool positions, const Stream& s)
      : in_(in),
        positions_(positions),
        tracked_(positions || in.dtype() == complex64),
        passes_(static_cast<int64_t>(in.itemsize())),
        length_(length),
        rows_(static_cast<int64_t>(in.size()) / length),
        tiles_((length + radix_tile - 1) / radix_tile),
        stream_(s) {}

  /** To values or positions. */
  void to_array(array& out) {
    out_ = output_address(out);
    if (positions_) {
      place_buffers_[0] = out_;
    } else {
      key_buffers_[0] = out_;
    }
    run();
  }

  /** To keys and positions. */
  void to_items(void* keys, uint32_t* places) {
    key_buffers_[0] = keys;
    place_buffers_[0] = places;
    run();
  }

 private:
  // Passes write to two buffers in turn, the last one to the first of them.
  void run() {
    size_t size = in_.size();
    if (passes_ > 1) {
      key_buffers_[1] = scratch(size * in_.itemsize());
      if (tracked_) place_buffers_[1] = scratch(size * sizeof(uint32_t));
    }
    if (passes_ > 2) {
      if (!key_buffers_[0]) key_buffers_[0] = scratch(size * in_.itemsize());
      if (tracked_ && !place_buffers_[0]) place_buffers_[0] = scratch(size * sizeof(uint32_t));
    }
    bool wide = length_ >= int64_t{1} << 30;
    int64_t progress_size = rows_ * tiles_ * digits * (wide ? 8 : 4);
    int64_t counts_size = rows_ * passes_ * digits * 4;
    int64_t zeroed = passes_ * (progress_size + 8) + counts_size;
    char* memory = static_cast<char*>(scratch(static_cast<size_t>(zeroed)));
    clear(memory, static_cast<size_t>(zeroed), stream_);
    counts_ = memory + passes_ * (progress_size + 8);
    start(digit_count_call(in_.dtype(), tracked_), 0, nullptr, nullptr,
          blocks_for(rows_ * ((tiles_ + count_tiles - 1) / count_tiles), 1));
    KernelCall call = digit_sort_call(in_.dtype(), positions_, wide);
    for (int64_t pass = 0; pass < passes_; pass++) {
      start(call, pass, memory + passes_ * progress_size + 8 * pass, memory + pass * progress_size,
            blocks_for(rows_ * tiles_, 1));
    }
  }

  void* scratch(size_t bytes) {
    scratch_.push_back(std::make_unique<Scratch>(bytes, stream_));
    return scratch_.back()->get();
  }

  void start(const KernelCall& call, int64_t pass, void* ticket, void* progress, unsigned blocks) {
    auto next = static_cast<size_t>((passes_ - 1 - pass) % 2), now = 1 - next;
    kernels::LongRows rows{};
    rows.rows = rows_;
    rows.length = length_;
    rows.tiles = tiles_;
    rows.pass = pass;
    rows.from_values = pass == 0;
    rows.to_values = out_ && pass == passes_ - 1;
    rows.in = input_address(in_, stream_);
    rows.out = out_;
    rows.keys = key_buffers_[now];
    rows.positions = static_cast<uint32_t*>(place_buffers_[now]);
    rows.next_keys = key_buffers_[next];
    rows.next_positions = static_cast<uint32_t*>(place_buffers_[next]);
    rows.counts = static_cast<uint32_t*>(counts_);
    rows.ticket = static_cast<uint32_t*>(ticket);
    rows.progress = progress;
    launch(kernel_of(call, stream_), blocks, radix_threads, stream_, rows);
  }

  const array& in_;
  bool positions_, tracked_;
  int64_t passes_, length_, rows_, tiles_;
  Stream stream_;
  void* out_ = nullptr;
  std::array<void*, 2> key_buffers_ = {};
  std::array<void*, 2> place_buffers_ = {};
  void* counts_ = nullptr;
  std::vector<std::unique_ptr<Scratch>> scratch_;
};

void eval_sort(Sort& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  allocate_output(outputs[0], s);
  if (outputs[0].size() > 0) {
    sort_rows(contiguous(inputs[0], s), inputs[0].shape(-1), outputs[0], primitive.positions(), s);
  }
}

const Register<Sort> sort(host_if_wide<Sort, eval_sort>);

}  // namespace

KernelCall short_sort_call(Dtype dtype, bool positions, int threads) {
  return {"sort_short.h", "ShortRows",
          std::string("sort_short_rows<") + type_name(dtype) + ", " +
              (positions ? "true, " : "false, ") + std::to_string(threads) + ">",
          threads};
}

KernelCall digit_count_call(Dtype dtype, bool joins_zeros) {
  return {"sort_long.h", "LongRows",
          std::string("count_digits<") + type_name(dtype) + (joins_zeros ? ", true>" : ", false>")};
}

// Items of up to 4 bytes fit registers four blocks at a time, larger ones three (measured).
KernelCall digit_sort_call(Dtype dtype, bool positions, bool wide) {
  return {"sort_long.h", "LongRows",
          std::string("sort_digit<") + type_name(dtype) + (positions ? ", true, " : ", false, ") +
              (wide ? "uint64_t>" : "uint32_t>"),
          radix_threads, positions || dtype.size() == 8 ? 3 : 4};
}

bool sorts_in_block(Dtype dtype, int64_t length) {
  return length <= (dtype.size() == 8 ? 2048 : 4096);
}

void sort_rows(const array& in, int64_t length, array& out, bool positions, const Stream& s) {
  if (sorts_in_block(in.dtype(), length)) {
    sort_short(in, length, out, positions, s);
  } else {
    LongSort(in, length, positions, s).to_array(out);
  }
}

void sort_keys(const array& in, void* keys, uint32_t* positions, const Stream& s) {
  LongSort(in, static_cast<int64_t>(in.size()), true, s).to_items(keys, positions);
}

}  // namespace mlx::core::cuda
