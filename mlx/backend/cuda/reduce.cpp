// Reduce and ArgReduce on the GPU: axis order, how the work is dealt out, and the kernels' text.
#include "mlx/primitives/reduce.h"

#include <algorithm>
#include <memory>

#include "mlx/backend/cpu/reduce_plan.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/parameters.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

namespace {

constexpr int threads = 256, column_threads = 32;
constexpr size_t largest_total = 32;

std::string folding_of(ReduceOp op, const std::string& in, const std::string& out) {
  switch (op) {
    case ReduceOp::Sum:
    case ReduceOp::Mean:
      return "SumFolding<op::Add, " + in + ", " + out + ">";
    case ReduceOp::Prod:
      return "SumFolding<op::Multiply, " + in + ", " + out + ">";
    case ReduceOp::Max:
      return "ExtremeFolding<MaxOp, " + in + ", " + out + ">";
    case ReduceOp::Min:
      return "ExtremeFolding<MinOp, " + in + ", " + out + ">";
    case ReduceOp::All:
      return "TruthFolding<true, " + in + ">";
    case ReduceOp::Any:
      return "TruthFolding<false, " + in + ">";
    case ReduceOp::Var:
      return "VarianceFolding<" + in + ", " + out + ">";
    case ReduceOp::LogSumExp:
      return "ExpSumFolding<" + in + ", " + out + ">";
  }
  __builtin_unreachable();
}

class Run {
 public:
  Run(std::string folding, const array& in, array& out, const std::vector<int>& axes,
      const Stream& s)
      : folding_(std::move(folding)),
        in_(in),
        out_(out),
        axes_(cpu::split_axes(in.shape(), in.strides(), axes)),
        stream_(s) {
    for (auto& axis : axes_.kept) outputs_ *= axis.size;
    for (auto& axis : axes_.reduced) length_ *= axis.size;
    kept_class_ = rank_class(axes_.kept.size());
    reduced_class_ = rank_class(axes_.reduced.size());
  }

  void execute(double divisor, double ddof) {
    divisor_ = divisor;
    ddof_ = ddof;
    // Results are numbered as they lie in the output, so kept axes go in the output's order.
    std::sort(axes_.kept.begin(), axes_.kept.end(),
              [](const auto& a, const auto& b) { return a.out_stride > b.out_stride; });
    by_columns_ = axes_.kept.back().in_stride == 1 && axes_.reduced.back().in_stride != 1 &&
                  axes_.kept.back().size >= 8;
    deal_out();
    std::unique_ptr<Scratch> totals;
    if (chunks_ > 1) {
      totals = std::make_unique<Scratch>(static_cast<size_t>(chunks_ * outputs_) * largest_total,
                                         stream_);
      totals_ = totals->get();
    }
    start(by_columns_ ? columns_call() : rows_call());
    if (chunks_ > 1) {
      start_grid("merge_chunks<" + folding_ + ", " + out_type(), blocks_for(outputs_, threads / 32),
                 threads);
    }
  }

 private:
  std::string in_type() const { return type_name(in_.dtype()); }
  std::string out_type() const { return type_name(out_.dtype()); }

  /** Cuts long reductions into chunks where there are too few results to fill the device. */
  void deal_out() {
    lanes_ = length_ > 1024 ? threads : 32;
    int64_t per_block = by_columns_ ? column_threads : threads / lanes_;
    int64_t blocks = (outputs_ + per_block - 1) / per_block;
    int64_t wanted = 4 * device_facts(stream_.device.index).multiprocessors;
    int64_t least = by_columns_ ? 64 : 8192;
    chunks_ = std::clamp<int64_t>(std::min(wanted / blocks, length_ / least), 1, 1024);
    chunk_length_ = (length_ + chunks_ - 1) / chunks_;
    int64_t granule = by_columns_ ? 1 : 16;
    chunk_length_ = std::max<int64_t>((chunk_length_ + granule - 1) / granule * granule, 1);
    chunks_ = std::max<int64_t>((length_ + chunk_length_ - 1) / chunk_length_, 1);
  }

  std::string rows_call() const {
    bool dense = axes_.reduced.size() == 1 && axes_.reduced[0].in_stride == 1;
    return "reduce_rows<" + folding_ + ", " + in_type() + ", " + out_type() + ", " +
           std::to_string(lanes_) + ", " + (dense ? "true" : "false");
  }
  std::string columns_call() const {
    return "reduce_columns<" + folding_ + ", " + in_type() + ", " + out_type();
  }

  void start(const std::string& call) {
    if (by_columns_) {
      start_grid(call, dim3(blocks_for(outputs_, column_threads), static_cast<unsigned>(chunks_)),
                 dim3(column_threads, threads / column_threads));
    } else {
      start_grid(call, blocks_for(outputs_ * chunks_, threads / lanes_), threads);
    }
  }

  void start_grid(const std::string& call, dim3 grid, dim3 block) {
    std::string ranks = std::to_string(kept_class_) + ", " + std::to_string(reduced_class_);
    std::string function = call + ", " + ranks + ">";
    Kernel kernel = kernel_of("reduce " + function, "reduce", stream_, [&] {
      return "#include \"mlx/backend/cuda/kernels/reduce_rows.h\"\n"
             "using namespace mlx::core::kernels;\nextern \"C\" __global__ void "
             "__launch_bounds__(256) reduce(const __grid_constant__ Reduction<" +
             ranks + "> p) { " + function + "(p); }\n";
    });
    Parameters parameters;
    parameters.add(outputs_);
    parameters.add(length_);
    parameters.add(chunks_);
    parameters.add(chunk_length_);
    parameters.add_value(&divisor_, 8);
    parameters.add_value(&ddof_, 8);
    parameters.add(in_.size() == 0 ? nullptr : input_address(in_, stream_));
    parameters.add(static_cast<const void*>(output_address(out_)));
    parameters.add(static_cast<const void*>(totals_));
    add_axes(parameters, axes_.kept, kept_class_);
    add_axes(parameters, axes_.reduced, reduced_class_);
    parameters.launch(kernel, grid, block, stream_);
  }

  static void add_axes(Parameters& parameters, const std::vector<cpu::ReduceAxis>& axes, int rank) {
    SmallVector<int64_t> sizes, strides;
    for (auto& axis : axes) {
      sizes.push_back(axis.size);
      strides.push_back(axis.in_stride);
    }
    parameters.add_padded(sizes, rank, 1);
    parameters.add_padded(strides, rank, 0);
  }

  std::string folding_;
  const array& in_;
  array& out_;
  cpu::ReduceAxes axes_;
  Stream stream_;
  int64_t outputs_ = 1, length_ = 1, chunks_ = 1, chunk_length_ = 1;
  int kept_class_, reduced_class_, lanes_ = 32;
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
  Run(folding_of(primitive.op(), type_name(in.dtype()), type_name(out.dtype())), in, out,
      primitive.axes(), s)
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
  std::string op = primitive.kind() == ArgReduce::ArgMax ? "MaxOp" : "MinOp";
  std::string folding = "PositionFolding<" + op + ", " + type_name(inputs[0].dtype()) + ">";
  Run(folding, inputs[0], out, {primitive.axis()}, s).execute(1.0, 0.0);
}

const Register<Reduce> reduce(eval_reduce);
const Register<ArgReduce> arg_reduce(eval_arg_reduce);

}  // namespace

}  // namespace mlx::core::cuda
