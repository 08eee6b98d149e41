// FFT on the GPU: rows of what the library takes, and its results where they belong.
#include "mlx/backend/cuda/fft.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/fft_library.h"
#include "mlx/backend/cuda/host.h"
#include "mlx/backend/cuda/kernels/fft_call.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/core/layout.h"
#include "mlx/primitives/fft.h"

namespace mlx::core::cuda {

namespace {

constexpr int threads = 256;

/** What becomes of the last axes of a dense array. */
struct Spectrum {
  FFT::Kind kind;
  std::vector<int64_t> lengths;  // of those axes
  bool inverse;
  double scale;
};

/** All axes, those that are transformed last; the last of them stays the last of half a spectrum.
 */
std::vector<int> order_of_axes(std::vector<int> transformed, FFT::Kind kind, int ndim) {
  std::sort(transformed.begin(), transformed.end() - (kind == FFT::Kind::full ? 0 : 1));
  std::vector<int> order;
  for (int axis = 0; axis < ndim; axis++) {
    bool stays = std::find(transformed.begin(), transformed.end(), axis) == transformed.end();
    if (stays) order.push_back(axis);
  }
  order.insert(order.end(), transformed.begin(), transformed.end());
  return order;
}

/** The view of `a` with its axes in another order. */
array in_order(const array& a, const std::vector<int>& order) {
  Shape shape;
  Strides strides;
  for (int axis : order) {
    shape.push_back(a.shape(axis));
    strides.push_back(a.strides(axis));
  }
  array view(shape, a.dtype(), nullptr, {});
  share_view(a, view, strides);
  return view;
}

/** Makes `out` the view of `rows` with its axes back from that order. */
void move_back(const array& rows, array& out, const std::vector<int>& order) {
  Strides strides = rows.strides();
  for (size_t i = 0; i < order.size(); i++) strides[order[i]] = rows.strides(static_cast<int>(i));
  share_view(rows, out, strides);
}

RowType type_of(Dtype dtype) {
  return dtype == complex128  ? RowType::wide_complex
         : dtype == complex64 ? RowType::complex
         : dtype == float64   ? RowType::real64
                              : RowType::single;
}

size_t size_of(RowType type) {
  return type == RowType::single ? 4 : type == RowType::wide_complex ? 16 : 8;
}

/** A transform of the library with what its rows are made of. */
struct Sort {
  RowTransform kind;
  RowType taken, made;
};

Sort sort_of(FFT::Kind kind, Dtype in) {
  if (real_dtype(in) == float64) {
    return {RowTransform::wide_complex, RowType::wide_complex, RowType::wide_complex};
  }
  switch (kind) {
    case FFT::Kind::full:
      return {RowTransform::complex, RowType::complex, RowType::complex};
    case FFT::Kind::to_half:
      return {RowTransform::to_half, RowType::single, RowType::complex};
    case FFT::Kind::from_half:
      return {RowTransform::from_half, RowType::complex, RowType::single};
  }
  __builtin_unreachable();
}

int length_of(const FFTN& primitive, int axis) {
  auto& axes = primitive.axes();
  return primitive.lengths()[std::find(axes.begin(), axes.end(), axis) - axes.begin()];
}

/** One transform of dense rows to rows of `out`, which has memory. */
class Transform {
 public:
  Transform(const Spectrum& spectrum, const array& in, array& out, const Stream& s)
      : spectrum_(spectrum),
        in_(in),
        out_(out),
        stream_(s),
        sort_(sort_of(spectrum.kind, in.dtype())),
        n_(spectrum.lengths.back()),
        rows_(static_cast<int64_t>(out.size()) / out.shape(-1)) {}

  /** Returns false if the library does not transform so many axes of these lengths at once. */
  bool run() {
    const void* from = input_address(in_, stream_);
    RowType from_type = type_of(in_.dtype());
    bool half = sort_.kind == RowTransform::from_half;
    int64_t from_length = in_.shape(-1), length = half ? n_ / 2 + 1 : n_;
    bool fits = from_type == sort_.taken && from_length == length &&
                reinterpret_cast<uint64_t>(from) % 16 == 0;
    // The library may change half a spectrum.
    if (!fits || half) {
      given_ = memory(length, sort_.taken);
      convert({from, from_type, from_length}, {given_->get(), sort_.taken, length}, 1.0,
              half ? n_ : 0);
      from = given_->get();
    }
    auto result = transformed(from);
    if (result) finish(*result);
    return result.has_value();
  }

 private:
  struct Rows {
    const void* data;
    RowType type;
    int64_t length;
  };
  struct NewRows {
    void* data;
    RowType type;
    int64_t length;
  };

  std::unique_ptr<Scratch> memory(int64_t length, RowType type) const {
    return std::make_unique<Scratch>(static_cast<size_t>(rows_ * length) * size_of(type), stream_);
  }

  std::optional<Rows> transformed(const void* from) {
    if (spectrum_.lengths == std::vector<int64_t>{1}) {
      return Rows{from, sort_.taken, 1};
    }
    bool wide = sort_.kind == RowTransform::wide_complex;
    int64_t made = wide ? n_ : out_.shape(-1);
    void* to = output_address(out_);
    if (wide) {
      wide_ = memory(made, sort_.made);
      to = wide_->get();
    }
    RowsCall call{sort_.kind, spectrum_.lengths, rows_ / outer_lengths(), spectrum_.inverse};
    if (!transform_rows(call, from, to, stream_)) {
      return std::nullopt;
    }
    return Rows{to, sort_.made, made};
  }

  void finish(const Rows& result) {
    RowType type = type_of(out_.dtype());
    bool in_place = result.data == output_address(out_);
    if (!in_place || spectrum_.scale != 1.0) {
      convert(result, {output_address(out_), type, out_.shape(-1)}, spectrum_.scale);
    }
  }

  void convert(const Rows& from, const NewRows& to, double scale, int64_t half_of = 0) const {
    kernels::SpectrumRows call{rows_,  from.length, to.length, half_of,
                               {1, 1}, scale,       from.data, to.data};
    size_t outer = spectrum_.lengths.size() - 1;
    std::copy_n(spectrum_.lengths.begin(), outer, call.outer + 2 - outer);
    launch(kernel_of(convert_rows_call(from.type, to.type), stream_),
           blocks_for(rows_ * to.length, threads), threads, stream_, call);
  }

  /** How many rows one transform has. */
  int64_t outer_lengths() const {
    return std::accumulate(spectrum_.lengths.begin(), spectrum_.lengths.end() - 1, int64_t{1},
                           std::multiplies<>());
  }

  const Spectrum& spectrum_;
  const array& in_;
  array& out_;
  Stream stream_;
  Sort sort_;
  int64_t n_;
  int64_t rows_;
  std::unique_ptr<Scratch> given_, wide_;
};

/** As Transform::run, of axes anywhere. */
bool transform_axes(const Spectrum& spectrum, const std::vector<int>& axes, const array& in,
                    array& out, const Stream& s) {
  if (out.size() == 0) {
    allocate_output(out, s);
    return true;
  }
  auto order = order_of_axes(axes, spectrum.kind, static_cast<int>(out.ndim()));
  if (std::is_sorted(order.begin(), order.end())) {
    allocate_output(out, s);
    return Transform(spectrum, contiguous(in, s), out, s).run();
  }
  Shape shape;
  for (int axis : order) shape.push_back(out.shape(axis));
  array rows(shape, out.dtype(), nullptr, {});
  allocate_output(rows, s);
  bool done = Transform(spectrum, contiguous(in_order(in, order), s), rows, s).run();
  if (done) move_back(rows, out, order);
  return done;
}

void eval_fft(FFT& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  if (primitive.kind() == FFT::Kind::from_half && is_wide_complex(inputs)) {
    eval_on_host(primitive, inputs, outputs);
    return;
  }
  Spectrum spectrum{primitive.kind(), {primitive.n()}, primitive.inverse(), primitive.scale()};
  transform_axes(spectrum, {primitive.axis()}, inputs[0], outputs[0], primitive.stream());
}

void eval_fftn(FFTN& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  auto order =
      order_of_axes(primitive.axes(), primitive.kind(), static_cast<int>(outputs[0].ndim()));
  Spectrum spectrum{primitive.kind(), {}, primitive.inverse(), primitive.scale()};
  for (size_t i = order.size() - primitive.axes().size(); i < order.size(); i++) {
    spectrum.lengths.push_back(length_of(primitive, order[i]));
  }
  if (transform_axes(spectrum, primitive.axes(), inputs[0], outputs[0], s)) {
    return;
  }
  array x = inputs[0];
  for (auto& step : primitive.steps()) {
    bool real = step->kind() == FFT::Kind::from_half;
    Dtype dtype = real ? real_dtype(x.dtype()) : complex_dtype(x.dtype());
    std::vector<array> made{array(step->output_shapes({x})[0], dtype, nullptr, {})};
    eval_fft(*step, {x}, made);
    x = made[0];
  }
  outputs[0].copy_shared_buffer(x);
}

/** Up to three axes whose rows need at most be cut off or padded themselves. */
bool supports(const FFTN& primitive, const std::vector<array>& inputs) {
  const array& in = inputs[0];
  bool wide_half = primitive.kind() == FFT::Kind::from_half && is_wide_complex(inputs);
  if (primitive.axes().size() > 3 || wide_half || in.size() == 0) {
    return false;
  }
  int rows = order_of_axes(primitive.axes(), primitive.kind(), static_cast<int>(in.ndim())).back();
  return std::all_of(primitive.axes().begin(), primitive.axes().end(), [&](int axis) {
    int length = length_of(primitive, axis);
    return length > 1 && (axis == rows || in.shape(axis) == length);
  });
}

const Register<FFT> fft(eval_fft);
const Register<FFTN> fftn(eval_fftn, supports);

const char* name_of(RowType type) {
  constexpr const char* names[] = {"float", "double", "Complex", "WideComplex"};
  return names[static_cast<int>(type)];
}

}  // namespace

KernelCall convert_rows_call(RowType from, RowType to) {
  return {"fft.h", "SpectrumRows",
          std::string("convert_rows<") + name_of(from) + ", " + name_of(to) + ">", threads};
}

}  // namespace mlx::core::cuda
