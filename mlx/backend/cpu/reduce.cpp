// Reduce and ArgReduce on the CPU: picks the kernel for the operation and dtype, and turns its
// totals into results.
#include "mlx/backend/cpu/reduce.h"

#include <algorithm>
#include <cmath>

#include "mlx/backend/cpu/reduce_run.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/errors.h"
#include "mlx/kernels/reduce.h"

namespace mlx::core::cpu {

namespace {

int row_of(Dtype dtype) { return static_cast<int>(dtype.val()); }

ReduceKernelOp kernel_op(ReduceOp op) {
  switch (op) {
    case ReduceOp::Sum:
    case ReduceOp::Mean:
      return ReduceKernelOp::Sum;
    case ReduceOp::Prod:
      return ReduceKernelOp::Prod;
    case ReduceOp::Max:
    case ReduceOp::Any:
      return ReduceKernelOp::Max;
    case ReduceOp::Min:
    case ReduceOp::All:
      return ReduceKernelOp::Min;
    case ReduceOp::Var:
      return ReduceKernelOp::Moments;
    case ReduceOp::LogSumExp:
      return ReduceKernelOp::ExpSum;
  }
  __builtin_unreachable();
}

/** The type in which values of `in` reach the kernel. */
Dtype kernel_dtype(ReduceOp op, Dtype in) {
  switch (op) {
    case ReduceOp::All:
    case ReduceOp::Any:
      return bool_;
    case ReduceOp::Sum:
    case ReduceOp::Prod:
    case ReduceOp::Mean:
      return in.size() < 4 && !issubdtype(in, floating) ? int32 : compute_dtype(in);
    default:
      return compute_dtype(in);
  }
}

ReduceJob make_job(ReduceKernelOp op, Dtype compute, Dtype in, TileCopy load) {
  const auto& kernel = reduce_kernel_table().kernels[static_cast<int>(op)][row_of(compute)];
  internal_check(kernel.rows, "no reduction kernel for this dtype");
  bool ordered = op == ReduceKernelOp::ArgMax || op == ReduceKernelOp::ArgMin;
  return {kernel, load, compute == in, compute.size(), ordered};
}

/** Writes value(total) of each total. */
template <typename Total, typename Out, typename Value>
void write(const void* totals, int64_t count, Out* out, int64_t stride, Value value) {
  for (int64_t i = 0; i < count; i++) {
    out[i * stride] = static_cast<Out>(value(static_cast<const Total*>(totals)[i]));
  }
}

/** What a reduction needs to know to finish its totals. */
struct Finish {
  ReduceOp op;
  double count;
  int ddof;

  template <typename Out>
  void operator()(const void* totals, int64_t n, Out* out, int64_t stride) const {
    if (op == ReduceOp::Var) {
      double degrees = std::max(count - ddof, 0.0);
      write<kernels::Moments>(totals, n, out, stride,
                              [=](const auto& m) { return m.squares / degrees; });
    } else if (op == ReduceOp::LogSumExp) {
      write<kernels::ExpSum>(totals, n, out, stride,
                             [](const auto& e) { return e.shift + std::log(e.sum); });
    } else if (op == ReduceOp::Sum || op == ReduceOp::Prod) {
      write<double>(totals, n, out, stride, [](double x) { return x; });
    } else {
      double divisor = count;
      write<double>(totals, n, out, stride, [=](double x) { return x / divisor; });
    }
  }
};

template <typename Out>
void store_complex(double divisor, const void* totals, int64_t count, Out* out, int64_t stride) {
  write<kernels::WideComplex>(totals, count, out, stride, [=](const auto& z) {
    return Out(complex128_t(z.re / divisor, z.im / divisor));
  });
}

/** Whether totals are results already, in the type of the kernel. */
bool keeps_type(ReduceOp op, Dtype in) {
  bool is_extremum = op == ReduceOp::Max || op == ReduceOp::Min;
  return is_extremum || op == ReduceOp::All || op == ReduceOp::Any || !issubdtype(in, inexact);
}

/** Stores finished totals at `out`, of the array's dtype. */
void store_totals(const Finish& finish, Dtype in, const void* totals, int64_t count, array& out,
                  int64_t offset, int64_t stride) {
  char* to = out.data<char>() + offset * static_cast<int64_t>(out.itemsize());
  if (keeps_type(finish.op, in)) {
    tile_store(out.dtype())(totals, 1, to, stride, count);
  } else {
    dispatch_dtype(out.dtype(), [&](auto tag) {
      using Out = typename decltype(tag)::type;
      if constexpr (ComplexNumber<Out>) {
        double divisor = finish.op == ReduceOp::Mean ? finish.count : 1.0;
        store_complex(divisor, totals, count, reinterpret_cast<Out*>(to), stride);
      } else {
        finish(totals, count, reinterpret_cast<Out*>(to), stride);
      }
    });
  }
}

double reduced_count(const Shape& shape, const std::vector<int>& axes) {
  double count = 1;
  for (int axis : axes) count *= shape[axis];
  return count;
}

/** The result of reducing nothing, for each output. */
void fill_identity(const ReduceJob& job, const Finish& finish, Dtype in, array& out) {
  alignas(16) char total[32];
  job.kernel.init(total, 1);
  if (out.dtype() == bool_) {  // which kernels take for bytes
    total[0] = total[0] != 0;
  }
  for (size_t i = 0; i < out.size(); i++) {
    store_totals(finish, in, total, 1, out, static_cast<int64_t>(i), 1);
  }
}

void run(const Reduce& node, const ReduceInput& in, array& out) {
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) {
    return;
  }
  ReduceOp op = node.op();
  Dtype compute = kernel_dtype(op, in.dtype);
  bool asks_nonzero = op == ReduceOp::All || op == ReduceOp::Any;
  TileCopy load = asks_nonzero       ? tile_table().nonzero[row_of(in.dtype)]
                  : compute == int32 ? tile_load_wide(in.dtype)
                                     : tile_load(in.dtype);
  auto job = make_job(kernel_op(op), compute, in.dtype, load);
  Finish finish{op, reduced_count(in.shape, node.axes()), node.ddof()};
  if (num_elements(in.shape) == 0) {
    fill_identity(job, finish, in.dtype, out);
    return;
  }
  job.run(in, node.axes(), [&](const void* totals, int64_t count, int64_t offset, int64_t stride) {
    store_totals(finish, in.dtype, totals, count, out, offset, stride);
  });
}

void eval_reduce(Reduce& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  run(primitive, ReduceInput(inputs[0]), outputs[0]);
}

void eval_arg_reduce(ArgReduce& primitive, const std::vector<array>& inputs,
                     std::vector<array>& outputs) {
  const array& in = inputs[0];
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) {
    return;
  }
  auto op = primitive.kind() == ArgReduce::ArgMax ? ReduceKernelOp::ArgMax : ReduceKernelOp::ArgMin;
  Dtype compute = compute_dtype(in.dtype());
  auto job = make_job(op, compute, in.dtype(), tile_load(in.dtype()));
  // Totals are a value, padded to eight bytes, and the position.
  int64_t step = job.kernel.total_size / static_cast<int64_t>(sizeof(int64_t));
  job.run(ReduceInput(in), {primitive.axis()},
          [&](const void* totals, int64_t count, int64_t offset, int64_t stride) {
            auto* position = static_cast<const int64_t*>(totals) + step - 1;
            auto* to = out.data<uint32_t>() + offset;
            for (int64_t i = 0; i < count; i++)
              to[i * stride] = static_cast<uint32_t>(position[i * step]);
          });
}

const Register<Reduce> reduce(eval_reduce);
const Register<ArgReduce> arg_reduce(eval_arg_reduce);

}  // namespace

void run_reduce(const Reduce& node, const Program& program, const std::vector<array>& inputs,
                const Shape& shape, array& out) {
  ProgramSource source(program, inputs, shape);
  Dtype dtype = program.type_of(program.outputs[0]);
  run(node, ReduceInput(source, shape, dtype), out);
}

}  // namespace mlx::core::cpu
