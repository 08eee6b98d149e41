// FFT on the CPU: groups of rows go to the kernels, on all threads.
#include "mlx/primitives/fft.h"

#include <algorithm>

#include "mlx/backend/cpu/fft_long.h"
#include "mlx/backend/cpu/fft_plan.h"
#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int max_lanes = 16;
constexpr int64_t max_group_bytes = 1 << 20;  // of the rows in the lanes of vectors: an L2 cache
constexpr int64_t min_long = 256;
constexpr int64_t max_ahead = 1 << 13;  // numbers of the next row that caches are told of
constexpr int64_t grain_numbers = 1 << 14;

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

/** Where the rows along an axis start on both sides, one after the other from any on. */
class RowWalk {
 public:
  RowWalk(const CollapsedLayout& others, int64_t row)
      : others_(others), index_(others.shape.size(), 0) {
    for (size_t i = index_.size(); i-- > 0; row /= others.shape[i]) {
      index_[i] = row % others.shape[i];
      in_ += index_[i] * others.strides[0][i];
      out_ += index_[i] * others.strides[1][i];
    }
  }

  int64_t in() const { return in_; }
  int64_t out() const { return out_; }

  /** How many rows from here on lie at equal distances, and those. */
  int64_t even_rows() const { return others_.shape.back() - index_.back(); }
  int64_t in_step() const { return others_.strides[0].back(); }
  int64_t out_step() const { return others_.strides[1].back(); }

  /** Goes on by at most even_rows(). */
  void next(int64_t rows = 1) {
    for (size_t i = index_.size(); i-- > 0; rows = 1) {
      in_ += rows * others_.strides[0][i];
      out_ += rows * others_.strides[1][i];
      index_[i] += rows;
      if (index_[i] < others_.shape[i]) return;
      in_ -= index_[i] * others_.strides[0][i];
      out_ -= index_[i] * others_.strides[1][i];
      index_[i] = 0;
    }
  }

 private:
  const CollapsedLayout& others_;
  SmallVector<int64_t> index_;
  int64_t in_ = 0, out_ = 0;
};

CollapsedLayout without_axis(const array& in, const array& out, int axis) {
  Shape shape = out.shape();
  Strides in_strides = in.strides(), out_strides = out.strides();
  shape.erase(shape.begin() + axis);
  in_strides.erase(in_strides.begin() + axis);
  out_strides.erase(out_strides.begin() + axis);
  return collapse_dims(shape, {in_strides, out_strides});
}

/** The transform of all rows along an axis. */
struct Transform {
  FftRow row;  // the first one
  int64_t count;
  CollapsedLayout others;  // where all lie: the strides of the input, then those of the output
  int64_t in_size, out_size;
};

/** Rows in groups that fill the vectors. */
template <typename T>
void transform_groups(const Transform& t) {
  const auto& kernels = fft_kernels().of<T>();
  auto plan = fft_plan<T>(t.row.length);
  int64_t n = plan->program().inner_n, lanes = kernels.lanes, count = t.count;
  FftRows rows{};
  rows.in = t.row.in;
  rows.out = t.row.out;
  rows.in_stride = t.row.in_stride;
  rows.out_stride = t.row.out_stride;
  rows.in_length = t.row.in_length;
  rows.kind = t.row.kind;
  rows.in_double = t.row.in_double;
  rows.out_double = t.row.out_double;
  rows.swap_in = t.row.inverse && t.row.kind != FftKind::half_to_real;
  rows.swap_out = t.row.inverse;
  rows.scale = t.row.scale;
  int64_t grain = std::max<int64_t>(grain_numbers / (n * lanes), 1);
  parallel_for((count + lanes - 1) / lanes, grain, [&](int64_t begin, int64_t end) {
    Scratch scratch(4 * sizeof(T) * lanes * (n + 1));
    RowWalk walk(t.others, begin * lanes);
    for (int64_t first = begin * lanes; first < std::min(end * lanes, count); first += lanes) {
      FftRows job = rows;
      job.lanes = static_cast<int>(std::min(lanes, count - first));
      int64_t in_offsets[max_lanes], out_offsets[max_lanes];
      job.in_places = {walk.in(), walk.in_step(), nullptr};
      job.out_places = {walk.out(), walk.out_step(), nullptr};
      if (walk.even_rows() >= job.lanes) {
        job.in_ahead = lanes * walk.in_step();
        job.out_ahead = lanes * walk.out_step();
        walk.next(job.lanes);
      } else {
        for (int l = 0; l < job.lanes; l++, walk.next()) {
          in_offsets[l] = walk.in();
          out_offsets[l] = walk.out();
        }
        job.in_places.offsets = in_offsets;
        job.out_places.offsets = out_offsets;
      }
      job.scratch = scratch.data();
      kernels.rows(plan->program(), job);
    }
  });
}

/** One row after the other: each on all threads if there are few. */
template <typename T>
void transform_long_rows(const Transform& t) {
  FftLong<T> transform(t.row.length);
  auto range = [&](int64_t begin, int64_t end) {
    RowWalk walk(t.others, begin);
    for (int64_t i = begin; i < end; i++, walk.next()) {
      FftRow row = t.row;
      row.in_ahead = row.length <= max_ahead ? walk.in_step() : 0;
      row.out_ahead = row.length <= max_ahead ? walk.out_step() : 0;
      row.in = static_cast<const char*>(row.in) + walk.in() * t.in_size;
      row.out = static_cast<char*>(row.out) + walk.out() * t.out_size;
      transform.run(row);
    }
  };
  if (t.count < num_threads()) return range(0, t.count);
  parallel_for(t.count, std::max<int64_t>(grain_numbers / t.row.length, 1), range);
}

/** Whether rows are better taken one by one: dense ones that split into parts that fill the
 *  vectors, and those that would not fit into a cache as a group. */
template <typename T>
bool takes_long_rows(const Transform& t) {
  int64_t n = t.row.length, lanes = fft_kernels().of<T>().lanes;
  if (n < min_long) return false;
  bool convolution = fft_needs_convolution(n);
  int64_t group_bytes = 4 * static_cast<int64_t>(sizeof(T)) * n * lanes;
  if (group_bytes * (convolution ? 2 : 1) > 8 * max_group_bytes) return true;
  bool dense = t.row.in_stride == 1 && t.row.out_stride == 1;
  bool few = 2 * t.count <= lanes;
  if (convolution) return few;
  int64_t rows = fft_split_rows(n), columns = n / rows;
  if (few) return rows > 1;
  auto used = [lanes](int64_t count) {
    int64_t whole = (count + lanes - 1) / lanes * lanes;
    return static_cast<double>(count) / static_cast<double>(whole);
  };
  return dense && (used(rows) * used(columns) > 0.8 || group_bytes > max_group_bytes);
}

template <typename T>
void transform(const Transform& t) {
  takes_long_rows<T>(t) ? transform_long_rows<T>(t) : transform_groups<T>(t);
}

void eval_fft(FFT& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& in = inputs[0];
  array& out = outputs[0];
  // Whole groups of rows are read before they are written.
  if (in.dtype() == out.dtype() && in.shape() == out.shape() && can_donate(in, out)) {
    donate(in, out);
  } else {
    out.set_data(allocator::malloc(out.nbytes()));
  }
  if (out.size() == 0) {
    return;
  }
  int axis = primitive.axis();
  Transform t{{},
              static_cast<int64_t>(out.size()) / out.shape(axis),
              without_axis(in, out, axis),
              static_cast<int64_t>(in.itemsize()),
              static_cast<int64_t>(out.itemsize())};
  FftRow& row = t.row;
  row.in = in.data<char>();
  row.in_stride = in.strides(axis);
  row.in_length = in.shape(axis);
  row.in_double = real_dtype(in.dtype()) == float64;
  row.out = out.data<char>();
  row.out_stride = out.strides(axis);
  row.out_double = real_dtype(out.dtype()) == float64;
  row.kind = kernel_kind(primitive.kind(), in.dtype(), primitive.n());
  row.inverse = primitive.inverse();
  row.scale = primitive.scale();
  bool paired = row.kind == FftKind::real_to_half || row.kind == FftKind::half_to_real;
  row.length = paired ? primitive.n() / 2 : primitive.n();
  bool precise = row.in_double || fft_needs_convolution(row.length);
  precise ? transform<double>(t) : transform<float>(t);
}

const Register<FFT> fft(eval_fft);

}  // namespace

}  // namespace mlx::core::cpu
