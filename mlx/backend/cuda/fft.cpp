// FFT on the GPU: rows of what the library takes, and its results where they belong.
#include "mlx/backend/cuda/fft.h"

#include <algorithm>
#include <memory>

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

/** The view of `a` with an axis moved to the end. */
array with_last(const array& a, int axis) {
  Shape shape = a.shape();
  Strides strides = a.strides();
  std::rotate(shape.begin() + axis, shape.begin() + axis + 1, shape.end());
  std::rotate(strides.begin() + axis, strides.begin() + axis + 1, strides.end());
  array view(shape, a.dtype(), nullptr, {});
  share_view(a, view, strides);
  return view;
}

/** Makes `out` the view of `rows` with the last axis moved back. */
void move_back(const array& rows, array& out, int axis) {
  Strides strides = rows.strides();
  std::rotate(strides.begin() + axis, strides.end() - 1, strides.end());
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

/** One transform of dense rows to rows of `out`, which has memory. */
class Transform {
 public:
  Transform(const FFT& node, const array& in, array& out, const Stream& s)
      : node_(node),
        in_(in),
        out_(out),
        stream_(s),
        sort_(sort_of(node.kind(), in.dtype())),
        rows_(static_cast<int64_t>(out.size()) / out.shape(-1)) {}

  void run() {
    const void* from = input_address(in_, stream_);
    RowType from_type = type_of(in_.dtype());
    bool half = sort_.kind == RowTransform::from_half;
    int64_t from_length = in_.shape(-1), length = half ? node_.n() / 2 + 1 : node_.n();
    bool fits = from_type == sort_.taken && from_length == length &&
                reinterpret_cast<uint64_t>(from) % 16 == 0;
    // The library may change half a spectrum.
    if (!fits || half) {
      given_ = memory(length, sort_.taken);
      convert({from, from_type, from_length}, {given_->get(), sort_.taken, length}, 1.0,
              half ? node_.n() : 0);
      from = given_->get();
    }
    finish(transformed(from));
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

  Rows transformed(const void* from) {
    if (node_.n() == 1) {
      return {from, sort_.taken, 1};
    }
    bool wide = sort_.kind == RowTransform::wide_complex;
    int64_t made = wide ? node_.n() : out_.shape(-1);
    void* to = output_address(out_);
    if (wide) {
      wide_ = memory(made, sort_.made);
      to = wide_->get();
    }
    transform_rows(sort_.kind, node_.n(), rows_, node_.inverse(), from, to, stream_);
    return {to, sort_.made, made};
  }

  void finish(const Rows& result) {
    RowType type = type_of(out_.dtype());
    bool in_place = result.data == output_address(out_);
    if (!in_place || node_.scale() != 1.0) {
      convert(result, {output_address(out_), type, out_.shape(-1)}, node_.scale());
    }
  }

  void convert(const Rows& from, const NewRows& to, double scale, int64_t half_of = 0) const {
    kernels::SpectrumRows call{rows_, from.length, to.length, half_of, scale, from.data, to.data};
    launch(kernel_of(convert_rows_call(from.type, to.type), stream_),
           blocks_for(rows_ * to.length, threads), threads, stream_, call);
  }

  const FFT& node_;
  const array& in_;
  array& out_;
  Stream stream_;
  Sort sort_;
  int64_t rows_;
  std::unique_ptr<Scratch> given_, wide_;
};

void eval_fft(FFT& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  if (primitive.kind() == FFT::Kind::from_half && is_wide_complex(inputs)) {
    eval_on_host(primitive, inputs, outputs);
    return;
  }
  if (out.size() == 0) {
    allocate_output(out, s);
    return;
  }
  int axis = primitive.axis(), last = static_cast<int>(out.ndim()) - 1;
  if (axis == last) {
    allocate_output(out, s);
    Transform(primitive, contiguous(inputs[0], s), out, s).run();
    return;
  }
  Shape shape = out.shape();
  std::rotate(shape.begin() + axis, shape.begin() + axis + 1, shape.end());
  array rows(shape, out.dtype(), nullptr, {});
  allocate_output(rows, s);
  Transform(primitive, contiguous(with_last(inputs[0], axis), s), rows, s).run();
  move_back(rows, out, axis);
}

const Register<FFT> fft(eval_fft);

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
