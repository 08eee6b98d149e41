// Distributions, each a few element-wise ops on random bits, so that evaluation fuses them. The
// order of roundings is part of the contract: a key gives the same values everywhere.
#include "mlx/random.h"

#include <cmath>
#include <numbers>

#include "mlx/core/errors.h"
#include "mlx/linalg.h"
#include "mlx/ops.h"

namespace mlx::core::random {

namespace {

bool is_real_float(Dtype t) { return issubdtype(t, floating); }

/** The largest value of a half type below 1. */
array below_one(Dtype dtype) { return array(1.0 - (dtype == float16 ? 0x1p-11 : 0x1p-8), dtype); }

/** Random words as floats below 2^32. */
array float_words(const Shape& shape, const std::optional<array>& key, StreamOrDevice s) {
  // What lies above would round to 2^32.
  return astype(minimum(bits(shape, 4, key, s), array(0xffffff7fu), s), float32, s);
}

/** Uniform in [0, 1). */
array unit_uniform(const Shape& shape, Dtype dtype, const std::optional<array>& key,
                   StreamOrDevice s) {
  check(is_real_float(dtype) && dtype != float64, "uniform",
        "Can only generate float32, float16 and bfloat16 numbers, not ", dtype, ".");
  array unit(0x1p-32f);
  if (dtype == float32) {
    return multiply(float_words(shape, key, s), unit, s);
  }
  array scaled = multiply(astype(bits(shape, 4, key, s), float32, s), unit, s);
  return minimum(astype(scaled, dtype, s), below_one(dtype), s);
}

/** Uniform in (-1, 1), float32. */
array signed_uniform(const Shape& shape, const std::optional<array>& key, StreamOrDevice s) {
  array scaled = multiply(float_words(shape, key, s), array(0x1p-31f), s);
  return add(scaled, array(-1.0f + 0x1p-24f), s);
}

/** scale * x + location, both of them in the dtype of x and optional. */
array place(array x, const std::optional<array>& location, const std::optional<array>& scale,
            StreamOrDevice s) {
  if (scale) {
    x = multiply(x, astype(*scale, x.dtype(), s), s);
  }
  return location ? add(x, astype(*location, x.dtype(), s), s) : x;
}

std::optional<array> unless_equal(float value, float trivial) {
  return value == trivial ? std::nullopt : std::optional<array>(array(value));
}

Shape without_axis(Shape shape, int axis) {
  shape.erase(shape.begin() + axis);
  return shape;
}

/** Whether all logits belong to one distribution, of which several numbers or arrays of them are
 *  asked for: then one running sum serves all. */
bool is_one_row(const array& logits, int axis, const Shape& shape) {
  return !shape.empty() && static_cast<int64_t>(logits.size()) == logits.shape(axis);
}

/** Positions drawn with the weights exp(logits) of one row, by inverting their running sum. */
array draw_positions(const array& logits, const Shape& shape, const std::optional<array>& key,
                     StreamOrDevice s) {
  check(logits.size() > 0, "categorical", "Cannot draw from logits of shape ", logits.shape(), ".");
  array x = flatten(astype(logits, float32, s), s);
  array top = max(x, s);
  // Infinite logits of the top are as likely as each other.
  array weights = exp(where(equal(x, top, s), array(0.0f), subtract(x, top, s), s), s);
  array sums = cumsum(weights, 0, false, true, std::nullopt, s);
  array target = multiply(uniform(shape, key, s), take(sums, -1, 0, s), s);
  array positions = astype(searchsorted(sums, target, "right", s), uint32, s);
  return minimum(positions, array(static_cast<uint32_t>(logits.size() - 1)), s);
}

/** Standard complex normal: real and imaginary part with variance 1/2. */
array complex_normal(const Shape& shape, const std::optional<array>& key, StreamOrDevice s) {
  Shape pairs = shape;
  pairs.push_back(2);
  return squeeze(view(erfinv(signed_uniform(pairs, key, s), s), complex64, s), -1, s);
}

}  // namespace

array uniform(const array& low, const array& high, const Shape& shape, Dtype dtype,
              const std::optional<array>& key, StreamOrDevice s) {
  Shape bounds = broadcast_shapes(low.shape(), high.shape());
  bool fits = bounds.size() <= shape.size() && broadcast_shapes(bounds, shape) == shape;
  check(fits, "uniform", "Cannot generate random values of shape ", shape,
        " from broadcasted shape ", bounds, ".");
  array unit = unit_uniform(shape, dtype, key, s);
  array lo = astype(low, dtype, s);
  array range = subtract(astype(high, dtype, s), lo, s);
  return add(multiply(range, unit, s), lo, s);
}

array uniform(const Shape& shape, Dtype dtype, const std::optional<array>& key, StreamOrDevice s) {
  return unit_uniform(shape, dtype, key, s);
}

array uniform(const Shape& shape, const std::optional<array>& key, StreamOrDevice s) {
  return unit_uniform(shape, float32, key, s);
}

array normal(const Shape& shape, Dtype dtype, const std::optional<array>& loc,
             const std::optional<array>& scale, const std::optional<array>& key, StreamOrDevice s) {
  check(issubdtype(dtype, inexact), "normal",
        "Only floating point and complex types are supported, not ", dtype, ".");
  if (is_complex_dtype(dtype)) {
    return place(astype(complex_normal(shape, key, s), dtype, s), loc, scale, s);
  }
  array samples = astype(erfinv(signed_uniform(shape, key, s), s), dtype, s);
  array deviation(std::numbers::sqrt2, dtype);
  if (scale) {
    deviation = multiply(deviation, astype(*scale, dtype, s), s);
  }
  return place(samples, loc, deviation, s);
}

array normal(const Shape& shape, Dtype dtype, const float loc, const float scale,
             const std::optional<array>& key, StreamOrDevice s) {
  return normal(shape, dtype, unless_equal(loc, 0), unless_equal(scale, 1), key, s);
}

array normal(const Shape& shape, const float loc, const float scale,
             const std::optional<array>& key, StreamOrDevice s) {
  return normal(shape, float32, loc, scale, key, s);
}

array normal(const Shape& shape, const Dtype dtype, const std::optional<array>& key,
             StreamOrDevice s) {
  return normal(shape, dtype, std::nullopt, std::nullopt, key, s);
}

array normal(const Shape& shape, const std::optional<array>& key, StreamOrDevice s) {
  return normal(shape, float32, std::nullopt, std::nullopt, key, s);
}

namespace {

/** B with B B^T = cov. */
array covariance_root(const array& cov, const std::string& method, const Stream& s) {
  if (method == "cholesky") {
    return linalg::cholesky(cov, false, s);
  }
  array none(0.0f);
  if (method == "eigh") {
    auto [values, vectors] = linalg::eigh(cov, "L", s);
    return multiply(vectors, expand_dims(sqrt(maximum(values, none, s), s), -2, s), s);
  }
  check(method == "svd", "multivariate_normal", "The method must be 'svd', 'eigh' or 'cholesky', ",
        "not '", method, "'.");
  auto parts = linalg::svd(cov, s);
  return multiply(parts[0], expand_dims(sqrt(parts[1], s), -2, s), s);
}

}  // namespace

array multivariate_normal(const array& mean, const array& cov, const Shape& shape, Dtype dtype,
                          const std::optional<array>& key, StreamOrDevice s) {
  return multivariate_normal(mean, cov, shape, dtype, "svd", key, s);
}

array multivariate_normal(const array& mean, const array& cov, const Shape& shape, Dtype dtype,
                          const std::string& method, const std::optional<array>& key,
                          StreamOrDevice s) {
  constexpr const char* op = "multivariate_normal";
  check(dtype == float32, op, "dtype must be float32, not ", dtype, ".");
  check(mean.ndim() >= 1 && cov.ndim() >= 2 && cov.shape(-1) == cov.shape(-2) &&
            cov.shape(-1) == mean.shape(-1),
        op, "mean and cov must have compatible shapes (..., n) and (..., n, n), not ", mean.shape(),
        " and ", cov.shape(), ".");
  Shape batch = broadcast_shapes(Shape(mean.shape().begin(), mean.shape().end() - 1),
                                 Shape(cov.shape().begin(), cov.shape().end() - 2));
  Shape full = shape.empty() ? batch : broadcast_shapes(shape, batch);
  check(shape.empty() || full == shape, op, "Cannot broadcast the batch shape ", batch,
        " of mean and cov to ", shape, ".");
  Stream stream = to_stream(s);
  array root = covariance_root(astype(cov, float32, stream), method, stream);
  full.push_back(mean.shape(-1));
  array x = expand_dims(normal(full, float32, key, stream), -1, stream);
  array moved = squeeze(matmul(root, x, stream), -1, stream);
  return add(astype(mean, float32, stream), moved, stream);
}

array randint(const array& low, const array& high, const Shape& shape, Dtype dtype,
              const std::optional<array>& key, StreamOrDevice s) {
  check(issubdtype(dtype, integer) || dtype == bool_, "randint",
        "Only integer dtypes and bool are accepted, not ", dtype, ".");
  array u = floor(uniform(low, high, shape, float32, key, s), s);
  if (dtype == bool_) {
    return astype(u, bool_, s);
  }
  // Rounding can reach `high`, and a fractional `low` rounds down.
  array last = subtract(astype(high, dtype, s), array(1, dtype), s);
  return maximum(minimum(astype(u, dtype, s), last, s), astype(low, dtype, s), s);
}

array bernoulli(const array& p, const Shape& shape, const std::optional<array>& key,
                StreamOrDevice s) {
  check(issubdtype(p.dtype(), floating), "bernoulli", "Probability `p` must be a float type, not ",
        p.dtype(), ".");
  bool fits = p.ndim() <= shape.size() && broadcast_shapes(p.shape(), shape) == shape;
  check(fits, "bernoulli", "Shape ", p.shape(), " of `p` is incompatible with argument `shape` ",
        shape, ".");
  // The factor is just above 2^32, so that p = 1 is always true.
  array threshold = multiply(p, array(0x1.000002p32f), s);
  return less(astype(bits(shape, 4, key, s), threshold.dtype(), s), threshold, s);
}

array bernoulli(const array& p, const std::optional<array>& key, StreamOrDevice s) {
  return bernoulli(p, p.shape(), key, s);
}

array bernoulli(const std::optional<array>& key, StreamOrDevice s) {
  return bernoulli(array(0.5f), key, s);
}

array truncated_normal(const array& lower, const array& upper, const Shape& shape, Dtype dtype,
                       const std::optional<array>& key, StreamOrDevice s) {
  check(is_real_float(dtype), "trunc_normal", "Only real floating point dtypes are accepted, not ",
        dtype, ".");
  array sqrt2(std::numbers::sqrt2, dtype);
  array lo = astype(lower, dtype, s);
  array hi = astype(upper, dtype, s);
  array u =
      uniform(erf(divide(lo, sqrt2, s), s), erf(divide(hi, sqrt2, s), s), shape, dtype, key, s);
  return maximum(minimum(multiply(sqrt2, erfinv(u, s), s), hi, s), lo, s);
}

array truncated_normal(const array& lower, const array& upper, Dtype dtype,
                       const std::optional<array>& key, StreamOrDevice s) {
  return truncated_normal(lower, upper, broadcast_shapes(lower.shape(), upper.shape()), dtype, key,
                          s);
}

array gumbel(const Shape& shape, Dtype dtype, const std::optional<array>& key, StreamOrDevice s) {
  array u = unit_uniform(shape, dtype, key, s);
  return negative(log(negative(log(u, s), s), s), s);
}

array categorical(const array& logits, int axis, const Shape& shape,
                  const std::optional<array>& key, StreamOrDevice s) {
  int ndim = static_cast<int>(logits.ndim());
  int ax = normalize_axis_index(axis, ndim, "[categorical] ");
  Shape reduced = without_axis(logits.shape(), ax);
  bool fits = reduced.size() <= shape.size() && broadcast_shapes(reduced, shape) == shape;
  check(fits, "categorical", "Requested shape ", shape,
        " is not broadcast compatible with reduced logits shape ", reduced, ".");
  if (is_one_row(logits, ax, shape)) {
    return draw_positions(logits, shape, key, s);
  }
  Shape noise = shape;
  noise.insert(noise.end() - (ndim - 1 - ax), logits.shape(ax));
  array noisy = add(gumbel(noise, float32, key, s), logits, s);
  return argmax(noisy, ax - ndim, false, s);
}

array categorical(const array& logits, int axis, int num_samples, const std::optional<array>& key,
                  StreamOrDevice s) {
  int ax = normalize_axis_index(axis, static_cast<int>(logits.ndim()), "[categorical] ");
  Shape drawn = without_axis(logits.shape(), ax);
  drawn.push_back(num_samples);
  if (is_one_row(logits, ax, drawn)) {
    return draw_positions(logits, drawn, key, s);
  }
  Shape noise = logits.shape();
  noise.push_back(num_samples);
  array noisy = add(gumbel(noise, float32, key, s), expand_dims(logits, -1, s), s);
  return argmax(noisy, ax, false, s);
}

array categorical(const array& logits, int axis, const std::optional<array>& key,
                  StreamOrDevice s) {
  int ax = normalize_axis_index(axis, static_cast<int>(logits.ndim()), "[categorical] ");
  Shape drawn = without_axis(logits.shape(), ax);
  if (is_one_row(logits, ax, drawn)) {
    return draw_positions(logits, drawn, key, s);
  }
  return argmax(add(gumbel(logits.shape(), float32, key, s), logits, s), ax, false, s);
}

array laplace(const Shape& shape, Dtype dtype, const float loc, const float scale,
              const std::optional<array>& key, StreamOrDevice s) {
  check(is_real_float(dtype), "laplace", "Only real floating point types are supported, not ",
        dtype, ".");
  array u = astype(signed_uniform(shape, key, s), promote_types(dtype, float32), s);
  array samples = multiply(sign(u, s), log1p(negative(abs(u, s), s), s), s);
  return place(astype(samples, dtype, s), unless_equal(loc, 0), unless_equal(scale, 1), s);
}

array laplace(const Shape& shape, const float loc, const float scale,
              const std::optional<array>& key, StreamOrDevice s) {
  return laplace(shape, float32, loc, scale, key, s);
}

array laplace(const Shape& shape, const Dtype dtype, const std::optional<array>& key,
              StreamOrDevice s) {
  return laplace(shape, dtype, 0, 1, key, s);
}

array laplace(const Shape& shape, const std::optional<array>& key, StreamOrDevice s) {
  return laplace(shape, float32, 0, 1, key, s);
}

array permutation(const array& x, int axis, const std::optional<array>& key, StreamOrDevice s) {
  int ax = normalize_axis_index(axis, static_cast<int>(x.ndim()), "[permutation] ");
  return take(x, permutation(x.shape(ax), key, s), ax, s);
}

array permutation(int x, const std::optional<array>& key, StreamOrDevice s) {
  return argsort(bits({x}, 4, key, s), 0, s);
}

}  // namespace mlx::core::random
