// Pooling from plain ops: a view of all windows, and a reduction of it.
#include "mlx/primitives/pool.h"

#include <algorithm>
#include <limits>

#include "mlx/core/errors.h"
#include "mlx/ops.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

array lowest(Dtype dtype) {
  if (issubdtype(dtype, inexact)) return array(-std::numeric_limits<float>::infinity(), dtype);
  bool is_signed = issubdtype(dtype, signedinteger);
  return array(is_signed ? -(int64_t{1} << (8 * dtype.size() - 1)) : int64_t{0}, dtype);
}

array padded(const array& x, const PoolSpec& spec, Stream s) {
  std::vector<std::pair<int, int>> widths(x.ndim(), {0, 0});
  for (size_t i = 0; i < spec.padding.size(); i++) {
    widths[i + 1] = {spec.padding[i], spec.padding[i]};
  }
  array value = spec.kind == PoolSpec::Max ? lowest(x.dtype()) : array(0, x.dtype());
  return pad(x, widths, value, "constant", s);
}

struct Windows {
  array view;
  std::vector<int> axes;  // inside the windows
};

/** Windows that lie side by side: no element of x is in two of them. */
Windows tiles_of(const array& x, const PoolSpec& spec, Stream s) {
  Windows windows{x, {}};
  Shape shape{x.shape(0)};
  for (size_t i = 0; i < spec.kernel.size(); i++) {
    shape.push_back(x.shape(static_cast<int>(i) + 1) / spec.kernel[i]);
    windows.axes.push_back(static_cast<int>(shape.size()));
    shape.push_back(spec.kernel[i]);
  }
  shape.push_back(x.shape(-1));
  windows.view = reshape(x, shape, s);
  return windows;
}

Windows windows_of(const array& x, const PoolSpec& spec, Stream s) {
  auto dims = static_cast<int>(spec.kernel.size());
  bool tiles = spec.kernel == spec.stride;
  for (int i = 0; i < dims; i++) tiles = tiles && x.shape(i + 1) % spec.kernel[i] == 0;
  if (tiles) return tiles_of(x, spec, s);
  std::vector<int64_t> steps(x.ndim(), 1);
  for (int i = static_cast<int>(x.ndim()) - 1; i > 0; i--) steps[i - 1] = steps[i] * x.shape(i);
  PoolSpec unpadded = spec;
  std::fill(unpadded.padding.begin(), unpadded.padding.end(), 0);
  Shape shape = unpadded.windows(x.shape());
  shape.insert(shape.end() - 1, spec.kernel.begin(), spec.kernel.end());
  Strides strides{steps[0]};
  for (int i = 0; i < dims; i++) strides.push_back(steps[i + 1] * spec.stride[i]);
  strides.insert(strides.end(), steps.begin() + 1, steps.end());
  Windows windows{as_strided(x, shape, strides, 0, s), {}};
  for (int i = 0; i < dims; i++) windows.axes.push_back(1 + dims + i);
  return windows;
}

array pool(const array& x, const PoolSpec& spec, Stream s) {
  bool pads = std::any_of(spec.padding.begin(), spec.padding.end(), [](int p) { return p > 0; });
  Windows windows = windows_of(pads ? padded(x, spec, s) : x, spec, s);
  return spec.kind == PoolSpec::Max ? max(windows.view, windows.axes, false, s)
                                    : mean(windows.view, windows.axes, false, s);
}

}  // namespace

Shape PoolSpec::windows(const Shape& image) const {
  Shape out = image;
  for (size_t i = 0; i < kernel.size(); i++) {
    int64_t room = int64_t{image[i + 1]} + 2 * int64_t{padding[i]} - kernel[i];
    int64_t count = room < 0 ? 0 : room / stride[i] + 1;
    check(count <= std::numeric_limits<ShapeElem>::max(), "pool", "There are too many windows of ",
          kernel[i], " with padding ", padding[i], " at axis ", i + 1, " of an input with shape ",
          image, ".");
    out[i + 1] = static_cast<ShapeElem>(count);
  }
  return out;
}

std::vector<array> Pool::fallback(const std::vector<array>& inputs) const {
  return {pool(inputs[0], spec_, stream())};
}

std::vector<array> Pool::vjp(const std::vector<array>& primals,
                             const std::vector<array>& cotangents, const std::vector<int>&,
                             const std::vector<array>& outputs) {
  std::vector<array> inputs{primals[0], cotangents[0]};
  if (spec_.kind == PoolSpec::Max) inputs.push_back(outputs[0]);
  return {array(primals[0].shape(), primals[0].dtype(),
                std::make_shared<PoolBackward>(stream(), spec_), std::move(inputs))};
}

std::vector<array> PoolBackward::fallback(const std::vector<array>& inputs) const {
  auto forward = [&](const std::vector<array>& x) {
    return std::vector<array>{pool(x[0], spec_, stream())};
  };
  return core::vjp(forward, {inputs[0]}, {inputs[1]}).second;
}

}  // namespace mlx::core
