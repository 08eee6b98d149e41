// FFT on the CPU: groups of rows go to the kernels, on all threads.
#include "mlx/primitives/fft.h"

#include <algorithm>
#include <memory>
#include <new>

#include "mlx/backend/cpu/fft_plan.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr std::align_val_t vector_alignment{64};
constexpr int max_lanes = 16;

struct AlignedDelete {
  void operator()(char* p) const { ::operator delete(p, vector_alignment); }
};
using Scratch = std::unique_ptr<char, AlignedDelete>;

Scratch make_scratch(size_t bytes) {
  return Scratch(static_cast<char*>(::operator new(bytes, vector_alignment)));
}

FftKind kernel_kind(FFT::Kind kind, Dtype in, int n) {
  switch (kind) {
    case FFT::Kind::full:
      return is_complex_dtype(in) ? FftKind::complex_to_complex : FftKind::real_to_complex;
    case FFT::Kind::to_half:
      return n % 2 ? FftKind::real_to_half_odd : FftKind::real_to_half;
    case FFT::Kind::from_half:
      return n % 2 ? FftKind::half_to_real_odd : FftKind::half_to_real;
  }
  __builtin_unreachable();
}

/** Where the rows along an axis start. */
class RowOffsets {
 public:
  RowOffsets(const array& a, int axis) : shape_(a.shape()), strides_(a.strides()) {
    shape_.erase(shape_.begin() + axis);
    strides_.erase(strides_.begin() + axis);
  }
  int64_t operator()(int64_t row) const { return element_offset(row, shape_, strides_); }

 private:
  Shape shape_;
  Strides strides_;
};

/** Transforms all rows: in groups that fill the vectors, or one by one if there are few or the
 *  groups would not fit into cache. */
template <typename T, typename Kernel>
void transform_rows(const array& in, array& out, int axis, FftRows rows, const FftPlan<T>& plan,
                    int lanes, Kernel kernel) {
  constexpr int64_t max_wide_bytes = 16 << 20;
  int64_t count = static_cast<int64_t>(out.size()) / out.shape(axis);
  int64_t row_bytes = 2 * (plan.program().inner_n + 1) * 2 * static_cast<int64_t>(sizeof(T));
  bool wide = 2 * count > lanes && row_bytes * lanes <= max_wide_bytes;
  lanes = wide ? lanes : 1;
  RowOffsets in_row(in, axis), out_row(out, axis);
  parallel_for((count + lanes - 1) / lanes, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch = make_scratch(row_bytes * lanes);
    int64_t in_offsets[max_lanes], out_offsets[max_lanes];
    for (int64_t group = begin; group < end; group++) {
      FftRows job = rows;
      job.lanes = static_cast<int>(std::min<int64_t>(lanes, count - group * lanes));
      for (int l = 0; l < job.lanes; l++) {
        in_offsets[l] = in_row(group * lanes + l);
        out_offsets[l] = out_row(group * lanes + l);
      }
      job.in_offsets = in_offsets;
      job.out_offsets = out_offsets;
      job.scratch = scratch.get();
      kernel(plan.program(), job, wide);
    }
  });
}

void eval_fft(FFT& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& in = inputs[0];
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) {
    return;
  }
  FftRows rows{};
  rows.in = in.data<char>();
  rows.out = out.data<char>();
  rows.in_stride = in.strides(primitive.axis());
  rows.out_stride = out.strides(primitive.axis());
  rows.in_length = in.shape(primitive.axis());
  rows.kind = kernel_kind(primitive.kind(), in.dtype(), primitive.n());
  rows.inverse = primitive.inverse();
  rows.scale = primitive.scale();
  bool paired = rows.kind == FftKind::real_to_half || rows.kind == FftKind::half_to_real;
  int64_t length = paired ? primitive.n() / 2 : primitive.n();
  const auto& kernels = fft_kernels();
  if (real_dtype(in.dtype()) == float64) {
    transform_rows(in, out, primitive.axis(), rows, *fft_plan<double>(length), kernels.double_lanes,
                   kernels.from_double);
  } else if (fft_needs_convolution(length)) {
    transform_rows(in, out, primitive.axis(), rows, *fft_plan<double>(length), kernels.double_lanes,
                   kernels.from_float_in_double);
  } else {
    transform_rows(in, out, primitive.axis(), rows, *fft_plan<float>(length), kernels.float_lanes,
                   kernels.from_float);
  }
}

const Register<FFT> fft(eval_fft);

}  // namespace

}  // namespace mlx::core::cpu
