// Reduce and ArgReduce on the GPU: axis order, how the work is dealt out, and the kernels' text.
#include "mlx/backend/cuda/reduce.h"

#include <algorithm>
#include <memory>

#include "mlx/backend/common/reduce_plan.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/reduce_call.h"
#include "mlx/backend/cuda/parameters.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

namespace {

constexpr int threads = 256, column_threads = 32;
constexpr int row_blocks = 4;  // at work on rows on a multiprocessor
constexpr size_t largest_total = 32;

KernelCall call_of(const std::string& start, ReduceRanks ranks) {
  std::string numbers = std::to_string(ranks.kept) + ", " + std::to_string(ranks.reduced) + ">";
  return {"reduce_rows.h", "Reduction<" + numbers, start + ", " + numbers, threads};
}

class Run {
 public:
  Run(Folding folding, const array& in, array& out, const std::vector<int>& axes, const Stream& s)
      : folding_(std::move(folding)),
        in_(in),
        out_(out),
        axes_(split_axes(in.shape(), in.strides(), axes)),
        stream_(s) {
    for (auto& axis : axes_.kept) outputs_ *= axis.size;
    for (auto& axis : axes_.reduced) length_ *= axis.size;
    ranks_ = {rank_class(axes_.kept.size()), rank_class(axes_.reduced.size())};
  }

  void execute(double divisor, double ddof) {
    divisor_ = divisor;
    ddof_ = ddof;
    choose();
    std::unique_ptr<Scratch> totals;
    if (chunks_ > 1) {
      totals = std::make_unique<Scratch>(static_cast<size_t>(chunks_ * outputs_) * largest_total,
                                         stream_);
      totals_ = totals->get();
    }
    if (by_columns_) {
      start(first_kernel(),
            dim3(blocks_for(outputs_, column_threads * width_), static_cast<unsigned>(chunks_)),
            dim3(column_threads, threads / column_threads));
    } else {
      start(first_kernel(), blocks_for(outputs_ * chunks_, threads / lanes_), threads);
    }
    if (chunks_ > 1) {
      start(merge_chunks_call(folding_, ranks_), blocks_for(outputs_, threads / 32), threads);
    }
  }

  /** Has the kernels compiled that `execute` will take. */
  void foresee() {
    choose();
    foresee_kernel(first_kernel(), stream_);
    if (chunks_ > 1) foresee_kernel(merge_chunks_call(folding_, ranks_), stream_);
  }

 private:
  void choose() {
    // Results are numbered as they lie in the output, so kept axes go in the output's order.
    std::sort(axes_.kept.begin(), axes_.kept.end(),
              [](const auto& a, const auto& b) { return a.out_stride > b.out_stride; });
    by_columns_ = axes_.kept.back().in_stride == 1 && axes_.reduced.back().in_stride != 1 &&
                  axes_.kept.back().size >= 8;
    if (by_columns_) width_ = column_width();
    deal_out();
  }

  KernelCall first_kernel() const {
    if (by_columns_) return reduce_columns_call(folding_, width_, ranks_);
    bool dense = axes_.reduced.size() == 1 && axes_.reduced[0].in_stride == 1;
    return reduce_rows_call(folding_, lanes_, dense, ranks_);
  }

  /** Columns that a thread reads at a time: several where all rows of them start at a multiple. */
  int64_t column_width() const {
    constexpr int64_t several = 4;
    auto itemsize = static_cast<int64_t>(in_.itemsize());
    auto is_multiple = [](const ReduceAxis& axis) { return axis.in_stride % several == 0; };
    const auto& kept = axes_.kept;
    bool fits = itemsize <= 4 && outputs_ >= column_threads * several && in_.size() > 0 &&
                kept.back().size % several == 0 &&
                std::all_of(kept.begin(), kept.end() - 1, is_multiple) &&
                std::all_of(axes_.reduced.begin(), axes_.reduced.end(), is_multiple) &&
                reinterpret_cast<uint64_t>(input_address(in_, stream_)) %
                        static_cast<uint64_t>(several * itemsize) ==
                    0;
    return fits ? several : 1;
  }

  /** Warps that take a row each need not wait for whole blocks. */
  bool rows_suit_warps() const {
    constexpr int rows = threads / 32;
    return fills_evenly((outputs_ + rows - 1) / rows, row_blocks,
                        device_facts(stream_.device.index));
  }

  /** Cuts long reductions into chunks where there are too few results to fill the device. */
  void deal_out() {
    lanes_ = length_ <= 1024 || rows_suit_warps() ? 32 : threads;
    int64_t per_block = by_columns_ ? column_threads * width_ : threads / lanes_;
    int64_t blocks = (outputs_ + per_block - 1) / per_block;
    int64_t wanted = 4 * device_facts(stream_.device.index).multiprocessors;
    int64_t least = by_columns_ ? 64 : 8192;
    chunks_ = std::clamp<int64_t>(std::min(wanted / blocks, length_ / least), 1, 1024);
    chunk_length_ = (length_ + chunks_ - 1) / chunks_;
    int64_t granule = by_columns_ ? 1 : 16;
    chunk_length_ = std::max<int64_t>((chunk_length_ + granule - 1) / granule * granule, 1);
    chunks_ = std::max<int64_t>((length_ + chunk_length_ - 1) / chunk_length_, 1);
  }

  void start(const KernelCall& call, dim3 grid, dim3 block) {
    kernels::ReductionCall arguments{};
    arguments.outputs = outputs_;
    arguments.length = length_;
    arguments.chunks = chunks_;
    arguments.chunk_length = chunk_length_;
    arguments.divisor = divisor_;
    arguments.ddof = ddof_;
    arguments.in = in_.size() == 0 ? nullptr : input_address(in_, stream_);
    arguments.out = output_address(out_);
    arguments.totals = totals_;
    Parameters parameters(arguments);
    add_axes(parameters, axes_.kept, ranks_.kept);
    add_axes(parameters, axes_.reduced, ranks_.reduced);
    parameters.launch(kernel_of(call, stream_), grid, block, stream_);
  }

  static void add_axes(Parameters& parameters, const std::vector<ReduceAxis>& axes, int rank) {
    SmallVector<int64_t> sizes, strides;
    for (auto& axis : axes) {
      sizes.push_back(axis.size);
      strides.push_back(axis.in_stride);
    }
    parameters.add_padded(sizes, rank, 1);
    parameters.add_padded(strides, rank, 0);
  }

  Folding folding_;
  const array& in_;
  array& out_;
  ReduceAxes axes_;
  Stream stream_;
  int64_t outputs_ = 1, length_ = 1, chunks_ = 1, chunk_length_ = 1;
  ReduceRanks ranks_{};
  int lanes_ = 32;
  int64_t width_ = 1;
  bool by_columns_ = false;
  double divisor_ = 1, ddof_ = 0;
  void* totals_ = nullptr;
};

void eval_reduce(Reduce& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& in = inputs[0];
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  double count = 1;
  for (int axis : primitive.axes()) {
    count *= in.shape(axis);
  }
  bool counts = primitive.op() == ReduceOp::Mean || primitive.op() == ReduceOp::Var;
  Run(reduce_folding(primitive.op(), in.dtype(), out.dtype()), in, out, primitive.axes(), s)
      .execute(counts ? count : 1.0, primitive.ddof());
}

void eval_arg_reduce(ArgReduce& primitive, const std::vector<array>& inputs,
                     std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  Folding folding = position_folding(primitive.kind() == ArgReduce::ArgMax, inputs[0].dtype());
  Run(folding, inputs[0], out, {primitive.axis()}, s).execute(1.0, 0.0);
}

void foresee_reduce(const Reduce& primitive, const std::vector<array>& inputs,
                    const std::vector<array>& outputs) {
  array out = outputs[0];
  Run(reduce_folding(primitive.op(), inputs[0].dtype(), out.dtype()), inputs[0], out,
      primitive.axes(), primitive.stream())
      .foresee();
}

const Register<Reduce> reduce(eval_reduce, nullptr, foresee_reduce);
const Register<ArgReduce> arg_reduce(eval_arg_reduce);

}  // namespace

Folding reduce_folding(ReduceOp op, Dtype in, Dtype out) {
  std::string from = type_name(in), types = from + ", " + type_name(out) + ">";
  switch (op) {
    case ReduceOp::Sum:
    case ReduceOp::Mean:
      return {"SumFolding<op::Add, " + types, in, out};
    case ReduceOp::Prod:
      return {"SumFolding<op::Multiply, " + types, in, out};
    case ReduceOp::Max:
      return {"ExtremeFolding<MaxOp, " + types, in, out};
    case ReduceOp::Min:
      return {"ExtremeFolding<MinOp, " + types, in, out};
    case ReduceOp::All:
      return {"TruthFolding<true, " + from + ">", in, out};
    case ReduceOp::Any:
      return {"TruthFolding<false, " + from + ">", in, out};
    case ReduceOp::Var:
      return {"VarianceFolding<" + types, in, out};
    case ReduceOp::LogSumExp:
      return {"ExpSumFolding<" + types, in, out};
  }
  __builtin_unreachable();
}

Folding position_folding(bool largest, Dtype in) {
  return {std::string("PositionFolding<") + (largest ? "MaxOp, " : "MinOp, ") + type_name(in) + ">",
          in, uint32};
}

KernelCall reduce_rows_call(const Folding& folding, int lanes, bool dense, ReduceRanks ranks) {
  KernelCall call = call_of("reduce_rows<" + folding.name + ", " + type_name(folding.in) + ", " +
                                type_name(folding.out) + ", " + std::to_string(lanes) +
                                (dense ? ", true" : ", false"),
                            ranks);
  call.blocks = row_blocks;
  return call;
}

KernelCall reduce_columns_call(const Folding& folding, int64_t width, ReduceRanks ranks) {
  return call_of("reduce_columns<" + folding.name + ", " + type_name(folding.in) + ", " +
                     type_name(folding.out) + ", " + std::to_string(width),
                 ranks);
}

KernelCall merge_chunks_call(const Folding& folding, ReduceRanks ranks) {
  return call_of("merge_chunks<" + folding.name + ", " + type_name(folding.out), ranks);
}

}  // namespace mlx::core::cuda
