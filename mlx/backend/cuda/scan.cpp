// Scan on the GPU: which kernel takes an axis, and how the work is dealt out.
#include "mlx/backend/cuda/scan.h"

#include <algorithm>
#include <memory>

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/order_sizes.h"
#include "mlx/backend/cuda/kernels/scan_call.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

namespace {

using namespace kernels;

constexpr int64_t tiny_row = 16, short_row = 2048;
constexpr int64_t most_chunks = 1024;
constexpr size_t largest_total = 16;

std::string folding_of(ScanOp op, Dtype dtype) {
  std::string type = type_name(dtype);
  bool truth = dtype == bool_;
  switch (op) {
    case ScanOp::Sum:
      return truth ? "TruthFolding<false, bool>"
                   : "SumFolding<op::Add, " + type + ", " + type + ">";
    case ScanOp::Prod:
      return truth ? "TruthFolding<true, bool>"
                   : "SumFolding<op::Multiply, " + type + ", " + type + ">";
    case ScanOp::Max:
      return "ExtremeFolding<MaxOp, " + type + ", " + type + ">";
    case ScanOp::Min:
      return "ExtremeFolding<MinOp, " + type + ", " + type + ">";
    case ScanOp::LogAddExp:
      return (is_complex_dtype(dtype) ? "ComplexLogSumFolding<" : "LogSumFolding<") + type + ">";
  }
  __builtin_unreachable();
}

/** How many blocks a multiprocessor has to hold at least. */
int row_blocks(ScanOp op, Dtype dtype) {
  return op == ScanOp::LogAddExp || dtype.size() == 8 ? 1 : 4;
}

class Scanner {
 public:
  Scanner(const ScanSpec& spec, const array& in, array& out, const Stream& s)
      : spec_(spec), in_(in), out_(out), length_(in.shape(spec.axis)), stream_(s) {
    for (int i = 0; i < spec.axis; i++) rows_ *= in.shape(i);
    for (int i = spec.axis + 1; i < static_cast<int>(in.ndim()); i++) inner_ *= in.shape(i);
  }

  void run() {
    if (inner_ > 1 || length_ <= tiny_row) {
      run_columns();
    } else {
      run_rows();
    }
  }

 private:
  int64_t wanted_blocks() const { return 8 * device_facts(stream_.device.index).multiprocessors; }

  /** Cuts the length where there are too few rows or columns to fill the device. */
  void cut(int64_t blocks, int64_t tile) {
    chunks_ = std::clamp<int64_t>(std::min(wanted_blocks() / blocks, length_ / (2 * tile)), 1,
                                  most_chunks);
    chunk_length_ = (length_ + chunks_ - 1) / chunks_;
    chunk_length_ = (chunk_length_ + tile - 1) / tile * tile;
    chunks_ = (length_ + chunk_length_ - 1) / chunk_length_;
  }

  void run_columns() {
    int64_t blocks = (rows_ * inner_ + columns_across - 1) / columns_across;
    cut(blocks, column_tile);
    dim3 grid(blocks_for(blocks, 1), static_cast<unsigned>(chunks_));
    dim3 block(columns_across, column_strips);
    run_both(column_total_call(spec_.op, in_.dtype()), column_scan_call(spec_.op, in_.dtype()),
             grid, block);
  }

  /** Warps that take a row each need not wait for whole blocks. */
  bool rows_suit_warps() const {
    constexpr int rows = scan_threads / 32;
    int resident = row_blocks(spec_.op, in_.dtype());
    return resident > 1 &&
           fills_evenly((rows_ + rows - 1) / rows, resident, device_facts(stream_.device.index));
  }

  void run_rows() {
    auto size = static_cast<int64_t>(in_.itemsize());
    auto places = reinterpret_cast<uint64_t>(input_address(in_, stream_)) |
                  reinterpret_cast<uint64_t>(output_address(out_));
    int64_t pack = std::min<int64_t>(8 * size, 16);
    int width = length_ * size % pack == 0 && places % 16 == 0 ? static_cast<int>(pack / size) : 1;
    int lanes = length_ <= short_row || rows_suit_warps() ? 32 : scan_threads;
    cut(lanes == 32 ? wanted_blocks() : rows_, row_strips * lanes * width);
    run_both(row_total_call(spec_.op, in_.dtype(), width),
             row_scan_call(spec_.op, in_.dtype(), width, lanes),
             blocks_for(rows_ * chunks_ * lanes, scan_threads), scan_threads);
  }

  void run_both(const KernelCall& totals, const KernelCall& results, dim3 grid, dim3 block) {
    std::unique_ptr<Scratch> memory;
    if (chunks_ > 1) {
      memory = std::make_unique<Scratch>(
          static_cast<size_t>(chunks_ * rows_ * inner_) * largest_total, stream_);
      start(totals, grid, block, memory->get());
    }
    start(results, grid, block, memory ? memory->get() : nullptr);
  }

  void start(const KernelCall& call, dim3 grid, dim3 block, void* totals) {
    ScanCall arguments{};
    arguments.rows = rows_;
    arguments.length = length_;
    arguments.inner = inner_;
    arguments.chunks = chunks_;
    arguments.chunk_length = chunk_length_;
    arguments.backward = spec_.reverse;
    arguments.exclusive = !spec_.inclusive;
    arguments.in = input_address(in_, stream_);
    arguments.out = output_address(out_);
    arguments.totals = totals;
    launch(kernel_of(call, stream_), grid, block, stream_, arguments);
  }

  const ScanSpec& spec_;
  const array& in_;
  array& out_;
  int64_t length_, rows_ = 1, inner_ = 1, chunks_ = 1, chunk_length_ = 1;
  Stream stream_;
};

void eval_scan(Scan& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  array in = contiguous_for(inputs[0], out, s);
  if (out.size() > 0) {
    scan_array({primitive.op(), primitive.axis(), primitive.reverse(), primitive.inclusive()}, in,
               out, s);
  }
}

const Register<Scan> scan(eval_scan);

}  // namespace

void scan_array(const ScanSpec& spec, const array& in, array& out, const Stream& s) {
  Scanner(spec, in, out, s).run();
}

KernelCall row_scan_call(ScanOp op, Dtype dtype, int width, int lanes) {
  return {"scan_rows.h", "ScanCall",
          "scan_rows<" + folding_of(op, dtype) + ", " + type_name(dtype) + ", " +
              std::to_string(width) + ", " + std::to_string(lanes) + ">",
          scan_threads, row_blocks(op, dtype)};
}

KernelCall row_total_call(ScanOp op, Dtype dtype, int width) {
  return {"scan_rows.h", "ScanCall",
          "total_rows<" + folding_of(op, dtype) + ", " + type_name(dtype) + ", " +
              std::to_string(width) + ">"};
}

KernelCall column_scan_call(ScanOp op, Dtype dtype) {
  return {"scan_columns.h", "ScanCall",
          "scan_columns<" + folding_of(op, dtype) + ", " + type_name(dtype) + ">"};
}

KernelCall column_total_call(ScanOp op, Dtype dtype) {
  return {"scan_columns.h", "ScanCall",
          "total_columns<" + folding_of(op, dtype) + ", " + type_name(dtype) + ">"};
}

}  // namespace mlx::core::cuda
