// The transform is linear: its jvp is itself, its vjp the adjoint, which runs the other way.
#include "mlx/primitives/fft.h"

#include "mlx/ops.h"

namespace mlx::core {

namespace {

/** Cuts off or pads with zeros at the end of an axis. */
array resize(const array& a, int axis, int length, Stream s) {
  if (a.shape(axis) >= length) {
    Shape start(a.ndim(), 0), stop = a.shape();
    stop[axis] = length;
    return slice(a, start, stop, s);
  }
  return pad(a, {axis}, {0}, {length - a.shape(axis)}, array(0, a.dtype()), "constant", s);
}

/** 1 for the numbers of a half spectrum that stand for themselves, 2 for those with a mirror. */
array half_weights(int n, int axis, int ndim) {
  int bins = n / 2 + 1;
  std::vector<float> weights(bins, 2.0f);
  weights[0] = 1.0f;
  if (n % 2 == 0) {
    weights[bins - 1] = 1.0f;
  }
  Shape shape(ndim, 1);
  shape[axis] = bins;
  return array(weights.begin(), shape, float32);
}

}  // namespace

array FFT::apply(const array& a, Kind kind, int axis, int n, bool inverse, double scale,
                 Stream stream) {
  auto node = std::make_shared<FFT>(stream, kind, axis, n, inverse, scale);
  Dtype dtype = kind == Kind::from_half ? real_dtype(a.dtype()) : complex_dtype(a.dtype());
  Shape shape = node->output_shapes({a})[0];
  return array(std::move(shape), dtype, std::move(node), {a});
}

std::vector<Shape> FFT::output_shapes(const std::vector<array>& inputs) {
  Shape out = inputs[0].shape();
  out[axis_] = kind_ == Kind::to_half ? n_ / 2 + 1 : n_;
  return {out};
}

std::vector<array> FFT::jvp(const std::vector<array>&, const std::vector<array>& tangents,
                            const std::vector<int>&) {
  return {apply(tangents[0], kind_, axis_, n_, inverse_, scale_, stream())};
}

std::vector<array> FFT::vjp(const std::vector<array>& primals, const std::vector<array>& cotangents,
                            const std::vector<int>&, const std::vector<array>&) {
  const array& in = primals[0];
  const array& g = cotangents[0];
  array out = g;
  if (kind_ == Kind::from_half) {
    out = apply(g, Kind::to_half, axis_, n_, false, scale_, stream());
    out = multiply(out, half_weights(n_, axis_, static_cast<int>(g.ndim())), stream());
  } else {
    out = apply(g, Kind::full, axis_, n_, !inverse_, scale_, stream());
  }
  out = resize(out, axis_, in.shape(axis_), stream());
  if (!is_complex_dtype(in.dtype())) {
    out = astype(real(out, stream()), in.dtype(), stream());
  }
  return {out};
}

std::pair<std::vector<array>, std::vector<int>> FFT::vmap(const std::vector<array>& inputs,
                                                          const std::vector<int>& axes) {
  int axis = axes[0] >= 0 && axis_ >= axes[0] ? axis_ + 1 : axis_;
  return {{apply(inputs[0], kind_, axis, n_, inverse_, scale_, stream())}, {axes[0]}};
}

}  // namespace mlx::core
