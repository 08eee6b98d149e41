// The transform is linear: its jvp is itself, its vjp the adjoint, which runs the other way.
#include "mlx/primitives/fft.h"

#include <functional>
#include <numeric>

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

/** The node of one input and one output. */
template <typename Node>
array node_of(const array& a, FFT::Kind kind, std::shared_ptr<Node> node) {
  bool real = kind == FFT::Kind::from_half;
  Dtype dtype = real ? real_dtype(a.dtype()) : complex_dtype(a.dtype());
  Shape shape = node->output_shapes({a})[0];
  return array(std::move(shape), dtype, std::move(node), {a});
}

/** The cotangent of the input `in` of such a transform, from that of its output: transformed the
 * other way, and of the lengths that the axes of `in` have. */
array adjoint(const array& in, const array& cotangent, FFT::Kind kind, const std::vector<int>& axes,
              const Shape& lengths, bool inverse, const std::vector<double>& scales, Stream s) {
  bool real = kind == FFT::Kind::from_half;
  array g = FFTN::apply(cotangent, real ? FFT::Kind::to_half : FFT::Kind::full, axes, lengths,
                        !real && !inverse, scales, s);
  if (real) {
    g = multiply(g, half_weights(lengths.back(), axes.back(), static_cast<int>(g.ndim())), s);
  }
  for (int axis : axes) {
    g = resize(g, axis, in.shape(axis), s);
  }
  return is_complex_dtype(in.dtype()) ? g : astype(mlx::core::real(g, s), in.dtype(), s);
}

}  // namespace

array FFT::apply(const array& a, Kind kind, int axis, int n, bool inverse, double scale,
                 Stream stream) {
  return node_of(a, kind, std::make_shared<FFT>(stream, kind, axis, n, inverse, scale));
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
  return {adjoint(primals[0], cotangents[0], kind_, {axis_}, {n_}, inverse_, {scale_}, stream())};
}

std::pair<std::vector<array>, std::vector<int>> FFT::vmap(const std::vector<array>& inputs,
                                                          const std::vector<int>& axes) {
  int axis = axes[0] >= 0 && axis_ >= axes[0] ? axis_ + 1 : axis_;
  return {{apply(inputs[0], kind_, axis, n_, inverse_, scale_, stream())}, {axes[0]}};
}

// ------------------------------------------------------------------ several axes

array FFTN::apply(const array& a, FFT::Kind kind, const std::vector<int>& axes,
                  const Shape& lengths, bool inverse, const std::vector<double>& scales,
                  Stream stream) {
  if (axes.size() == 1) {
    return FFT::apply(a, kind, axes[0], lengths[0], inverse, scales[0], stream);
  }
  return node_of(a, kind, std::make_shared<FFTN>(stream, kind, axes, lengths, inverse, scales));
}

double FFTN::scale() const {
  return std::accumulate(scales_.begin(), scales_.end(), 1.0, std::multiplies<>());
}

std::vector<std::shared_ptr<FFT>> FFTN::steps() const {
  std::vector<std::shared_ptr<FFT>> all;
  auto add = [&](size_t i, FFT::Kind kind) {
    all.push_back(
        std::make_shared<FFT>(stream(), kind, axes_[i], lengths_[i], inverse_, scales_[i]));
  };
  size_t last = axes_.size() - 1;
  if (kind_ != FFT::Kind::from_half) add(last, kind_);
  // From the last on: as a rule its rows are dense, and the others may be changed where they lie.
  for (size_t i = last; i-- > 0;) add(i, FFT::Kind::full);
  if (kind_ == FFT::Kind::from_half) add(last, kind_);
  return all;
}

std::vector<array> FFTN::fallback(const std::vector<array>& inputs) const {
  array x = inputs[0];
  for (auto& step : steps()) {
    FFT::Kind kind = step->kind();
    x = node_of(x, kind, step);
  }
  return {x};
}

std::vector<Shape> FFTN::output_shapes(const std::vector<array>& inputs) {
  Shape out = inputs[0].shape();
  for (size_t i = 0; i < axes_.size(); i++) out[axes_[i]] = lengths_[i];
  if (kind_ == FFT::Kind::to_half) out[axes_.back()] = lengths_.back() / 2 + 1;
  return {out};
}

std::vector<array> FFTN::jvp(const std::vector<array>&, const std::vector<array>& tangents,
                             const std::vector<int>&) {
  return {apply(tangents[0], kind_, axes_, lengths_, inverse_, scales_, stream())};
}

std::vector<array> FFTN::vjp(const std::vector<array>& primals,
                             const std::vector<array>& cotangents, const std::vector<int>&,
                             const std::vector<array>&) {
  return {adjoint(primals[0], cotangents[0], kind_, axes_, lengths_, inverse_, scales_, stream())};
}

std::pair<std::vector<array>, std::vector<int>> FFTN::vmap(const std::vector<array>& inputs,
                                                           const std::vector<int>& axes) {
  std::vector<int> moved = axes_;
  for (int& axis : moved) axis += axes[0] >= 0 && axis >= axes[0] ? 1 : 0;
  return {{apply(inputs[0], kind_, moved, lengths_, inverse_, scales_, stream())}, {axes[0]}};
}

}  // namespace mlx::core
