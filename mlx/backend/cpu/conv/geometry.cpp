// Phases of dilated inputs, and images from arrays.
#include "mlx/backend/cpu/conv/geometry.h"

#include <numeric>

namespace mlx::core::cpu {

namespace {

// The values given for the spatial axes, with `fill` in front of them up to three.
template <typename Values>
Triple triple(const Values& values, int64_t fill) {
  Triple result = {fill, fill, fill};
  size_t missing = 3 - values.size();
  for (size_t i = 0; i < values.size(); ++i) result[missing + i] = values[i];
  return result;
}

Triple spatial_extent(const Shape& shape) {
  return triple(Shape(shape.begin() + 1, shape.end() - 1), 1);
}

struct AxisTap {
  int64_t at, position;
};

// One residue class of the outputs along one axis.
struct AxisPhase {
  int64_t first, step, count, ratio;
  std::vector<AxisTap> taps;
};

std::vector<AxisPhase> axis_phases(const ConvGeometry& g, int axis) {
  int64_t dilation = g.input_dilation[axis], stride = g.stride[axis];
  int64_t step = dilation / std::gcd(dilation, stride);
  std::vector<AxisPhase> phases;
  for (int64_t first = 0; first < step && first < g.out[axis]; ++first) {
    AxisPhase phase = {
        first, step, (g.out[axis] - first + step - 1) / step, step * stride / dilation, {}};
    for (int64_t k = 0; k < g.kernel[axis]; ++k) {
      int64_t at = first * stride + k * g.kernel_dilation[axis] - g.padding[axis];
      if (at % dilation != 0) continue;
      phase.taps.push_back({at / dilation, g.flip ? g.kernel[axis] - 1 - k : k});
    }
    phases.push_back(std::move(phase));
  }
  return phases;
}

Phase combine(const AxisPhase& d, const AxisPhase& h, const AxisPhase& w, const Triple& kernel) {
  Phase phase = {{d.first, h.first, w.first},
                 {d.step, h.step, w.step},
                 {d.count, h.count, w.count},
                 {d.ratio, h.ratio, w.ratio},
                 {}};
  for (const AxisTap& a : d.taps) {
    for (const AxisTap& b : h.taps) {
      for (const AxisTap& c : w.taps) {
        int64_t position = (a.position * kernel[1] + b.position) * kernel[2] + c.position;
        phase.taps.push_back({{a.at, b.at, c.at}, position});
      }
    }
  }
  return phase;
}

}  // namespace

ConvGeometry::ConvGeometry(const Shape& input, const Shape& kernel_shape, const Shape& output,
                           const ConvParams& params)
    : in(spatial_extent(input)),
      out(spatial_extent(output)),
      kernel(triple(kernel_shape, 1)),
      stride(triple(params.stride, 1)),
      padding(triple(params.padding_lo, 0)),
      kernel_dilation(triple(params.kernel_dilation, 1)),
      input_dilation(triple(params.input_dilation, 1)),
      flip(params.flip) {}

std::vector<Phase> ConvGeometry::phases() const {
  std::vector<AxisPhase> axes[3] = {axis_phases(*this, 0), axis_phases(*this, 1),
                                    axis_phases(*this, 2)};
  std::vector<Phase> result;
  for (const AxisPhase& d : axes[0]) {
    for (const AxisPhase& h : axes[1]) {
      for (const AxisPhase& w : axes[2]) result.push_back(combine(d, h, w, kernel));
    }
  }
  return result;
}

Image image_of(const array& a) {
  Image image;
  image.data = a.data<char>();
  image.itemsize = static_cast<int64_t>(a.itemsize());
  image.batch = a.shape(0);
  image.extent = spatial_extent(a.shape());
  image.batch_stride = a.strides(0);
  image.stride = triple(Strides(a.strides().begin() + 1, a.strides().end() - 1), 0);
  image.channels = a.shape(-1);
  return image;
}

PixelPosition pixel_position(const Phase& phase, int64_t index) {
  PixelPosition p;
  for (int i = 2; i >= 0; --i) {
    p.q[i] = index % phase.count[i];
    index /= phase.count[i];
  }
  p.n = index;
  return p;
}

}  // namespace mlx::core::cpu
