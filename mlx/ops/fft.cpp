// Fourier transforms over axes, as one node, and helpers for frequencies.
#include "mlx/fft.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/primitives/fft.h"

namespace mlx::core::fft {

namespace {

struct Direction {
  bool real;  // one side is real
  bool inverse;
};

constexpr Direction forward_complex{false, false}, inverse_complex{false, true};
constexpr Direction forward_real{true, false}, inverse_real{true, true};

std::vector<int> last_axes(const array& a, size_t count) {
  std::vector<int> axes(count);
  std::iota(axes.begin(), axes.end(), static_cast<int>(a.ndim()) - static_cast<int>(count));
  return axes;
}

/** The lengths of the transforms if the caller gives none. */
Shape default_lengths(const array& a, const std::vector<int>& axes, Direction d) {
  Shape n;
  for (int axis : axes) {
    n.push_back(a.shape(normalize_axis_index(axis, static_cast<int>(a.ndim()), "[fftn] ")));
  }
  if (d.real && d.inverse && !n.empty()) {
    n.back() = static_cast<ShapeElem>(
        std::clamp<int64_t>(2 * (static_cast<int64_t>(n.back()) - 1), -2, INT32_MAX));
  }
  return n;
}

std::vector<int> check_axes(const array& a, const Shape& n, const std::vector<int>& axes) {
  check(a.ndim() > 0, "fftn", "Requires an array with at least one dimension.");
  check(n.size() == axes.size(), "fftn", "Got ", n.size(), " lengths for ", axes.size(), " axes.");
  std::vector<int> out;
  for (int axis : axes) {
    out.push_back(normalize_axis_index(axis, static_cast<int>(a.ndim()), "[fftn] "));
    check(std::count(out.begin(), out.end(), out.back()) == 1, "fftn", "Duplicated axis ", axis,
          " for an array of shape ", a.shape(), ".");
  }
  for (auto length : n) {
    check(length > 0, "fftn", "Invalid FFT output size requested (", length, ").");
  }
  return out;
}

double scale_of(FFTNorm norm, int n, bool inverse) {
  if (norm == FFTNorm::Ortho) {
    return 1.0 / std::sqrt(static_cast<double>(n));
  }
  return (norm == FFTNorm::Backward) == inverse ? 1.0 / n : 1.0;
}

array transform(const array& a, const Shape& n, const std::vector<int>& axes, FFTNorm norm,
                Direction d, StreamOrDevice s) {
  std::vector<int> checked = check_axes(a, n, axes);
  if (checked.empty()) {
    return a;
  }
  Stream stream = to_stream(s);
  bool halves = d.real && d.inverse;
  array x = a;
  if (halves) {
    x = astype(x, complex_dtype(x.dtype()), stream);
  } else if (!is_complex_dtype(x.dtype()) && x.dtype() != float64) {
    x = astype(x, float32, stream);
  } else if (d.real && !d.inverse) {
    x = real(x, stream);
  }
  std::vector<double> scales;
  for (int length : n) scales.push_back(scale_of(norm, length, d.inverse));
  auto kind = !d.real ? FFT::Kind::full : d.inverse ? FFT::Kind::from_half : FFT::Kind::to_half;
  return FFTN::apply(x, kind, checked, n, d.inverse, scales, stream);
}

array transform(const array& a, const std::vector<int>& axes, FFTNorm norm, Direction d,
                StreamOrDevice s) {
  return transform(a, default_lengths(a, axes, d), axes, norm, d, s);
}

/** Rolls each axis by about half of its extent. */
array shift(const array& a, const std::vector<int>& axes, bool inverse, StreamOrDevice s) {
  Shape shifts;
  for (int axis : axes) {
    int extent = a.shape(normalize_axis_index(axis, static_cast<int>(a.ndim()), "[fftshift] "));
    shifts.push_back(inverse ? -(extent / 2) : extent / 2);
  }
  return axes.empty() ? a : roll(a, shifts, axes, s);
}

}  // namespace

// The families of one direction each: over given lengths and axes, over axes, over all axes; over
// one axis; over two axes.
#define MLX_FFT_FAMILY(nd, one, two, direction)                                             \
  array nd(const array& a, const Shape& n, const std::vector<int>& axes, FFTNorm norm,      \
           StreamOrDevice s) {                                                              \
    return transform(a, n, axes, norm, direction, s);                                       \
  }                                                                                         \
  array nd(const array& a, const std::vector<int>& axes, FFTNorm norm, StreamOrDevice s) {  \
    return transform(a, axes, norm, direction, s);                                          \
  }                                                                                         \
  array nd(const array& a, FFTNorm norm, StreamOrDevice s) {                                \
    return transform(a, last_axes(a, a.ndim()), norm, direction, s);                        \
  }                                                                                         \
  array one(const array& a, int n, int axis, FFTNorm norm, StreamOrDevice s) {              \
    return transform(a, {n}, {axis}, norm, direction, s);                                   \
  }                                                                                         \
  array one(const array& a, int axis, FFTNorm norm, StreamOrDevice s) {                     \
    return transform(a, {axis}, norm, direction, s);                                        \
  }                                                                                         \
  array two(const array& a, const Shape& n, const std::vector<int>& axes, FFTNorm norm,     \
            StreamOrDevice s) {                                                             \
    return transform(a, n, axes, norm, direction, s);                                       \
  }                                                                                         \
  array two(const array& a, const std::vector<int>& axes, FFTNorm norm, StreamOrDevice s) { \
    return transform(a, axes, norm, direction, s);                                          \
  }

MLX_FFT_FAMILY(fftn, fft, fft2, forward_complex)
MLX_FFT_FAMILY(ifftn, ifft, ifft2, inverse_complex)
MLX_FFT_FAMILY(rfftn, rfft, rfft2, forward_real)
MLX_FFT_FAMILY(irfftn, irfft, irfft2, inverse_real)

#undef MLX_FFT_FAMILY

array fftfreq(int n, double d, StreamOrDevice s) {
  check(n > 0, "fftfreq", "`n` must be greater than 0, not ", n, ".");
  check(d != 0, "fftfreq", "`d` must not be zero.");
  std::vector<float> out(n);
  for (int i = 0; i < n; i++) {
    int cycle = i < n - n / 2 ? i : i - n;
    out[i] = static_cast<float>(cycle / (n * d));
  }
  return copy(array(out.begin(), {n}, float32), s);
}

array rfftfreq(int n, double d, StreamOrDevice s) {
  check(n > 0, "rfftfreq", "`n` must be greater than 0, not ", n, ".");
  check(d != 0, "rfftfreq", "`d` must not be zero.");
  std::vector<float> out(n / 2 + 1);
  for (int i = 0; i <= n / 2; i++) {
    out[i] = static_cast<float>(i / (n * d));
  }
  return copy(array(out.begin(), {n / 2 + 1}, float32), s);
}

array fftshift(const array& a, const std::vector<int>& axes, StreamOrDevice s) {
  return shift(a, axes, false, s);
}

array fftshift(const array& a, StreamOrDevice s) {
  return shift(a, last_axes(a, a.ndim()), false, s);
}

array ifftshift(const array& a, const std::vector<int>& axes, StreamOrDevice s) {
  return shift(a, axes, true, s);
}

array ifftshift(const array& a, StreamOrDevice s) {
  return shift(a, last_axes(a, a.ndim()), true, s);
}

}  // namespace mlx::core::fft
