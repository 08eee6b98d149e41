// Phases of convolutions: with dilated inputs, output pixels differ in which taps of the kernel
// meet an element and which meet the zeros between.
#include "mlx/backend/cuda/conv_phases.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "mlx/backend/cuda/runtime/device.h"
#include "mlx/core/errors.h"

namespace mlx::core::cuda {

namespace {

using kernels::ConvAxis;
using kernels::ConvPhase;
using kernels::Divisor;

constexpr int64_t most = int64_t{1} << 30;

Divisor divisor_of(int64_t value) {
  auto wide = static_cast<uint64_t>(std::max<int64_t>(value, 1));
  uint32_t shift = 0;
  while ((uint64_t{1} << shift) < wide) shift++;
  uint64_t factor = (uint64_t{1} << 32) * ((uint64_t{1} << shift) - wide) / wide + 1;
  return {static_cast<uint32_t>(wide), static_cast<uint32_t>(factor), shift};
}

int32_t counted(int64_t value) {
  check(std::abs(value) < most, OpScope::current(), "An extent of ", value,
        " with its padding is too large for the GPU; run it with stream=mx.cpu.");
  return static_cast<int32_t>(value);
}

/** One axis of the arrays with its parameters. */
struct AxisFacts {
  int64_t in = 1, kernel = 1, out = 1;
  int64_t in_stride = 0, tap_stride = 0, out_stride = 0;
  int64_t stride = 1, padding = 0, kernel_dilation = 1, input_dilation = 1;
  bool flip = false;
};

struct PlacedAxis {
  ConvAxis axis;
  int64_t weight_start, out_stride;
};

PlacedAxis make_phase(const AxisFacts& a, int64_t first, int64_t step) {
  int64_t tap = 0, dilation = a.input_dilation;
  auto place = [&](int64_t k) { return first * a.stride + k * a.kernel_dilation - a.padding; };
  while (tap < a.kernel && place(tap) % dilation != 0) tap++;
  int64_t tap_step = dilation / std::gcd(dilation, a.kernel_dilation);
  PlacedAxis placed{};
  ConvAxis& axis = placed.axis;
  axis.taps = tap < a.kernel ? counted((a.kernel - 1 - tap) / tap_step + 1) : 0;
  axis.pixels = counted((a.out - first + step - 1) / step);
  axis.first = counted(first);
  axis.step = counted(step);
  axis.ratio = counted(step * a.stride / dilation);
  axis.at = axis.taps > 0 ? counted(place(tap) / dilation) : 0;
  axis.at_step = counted(tap_step * a.kernel_dilation / dilation);
  axis.extent = counted(a.in);
  counted(axis.ratio * int64_t{axis.pixels} + axis.at + int64_t{axis.at_step} * axis.taps);
  axis.in_stride = a.in_stride;
  axis.tap_in = counted(axis.at_step * a.in_stride);
  axis.tap_weight = counted((a.flip ? -tap_step : tap_step) * a.tap_stride);
  counted(int64_t{axis.tap_in} * axis.taps);
  counted(int64_t{axis.tap_weight} * axis.taps);
  axis.pixels_divisor = divisor_of(axis.pixels);
  axis.taps_divisor = divisor_of(axis.taps);
  placed.weight_start = (a.flip ? a.kernel - 1 - tap : tap) * a.tap_stride;
  placed.out_stride = a.out_stride;
  return placed;
}

std::vector<PlacedAxis> axis_phases(const AxisFacts& a) {
  int64_t step = a.input_dilation / std::gcd(a.input_dilation, a.stride);
  std::vector<PlacedAxis> phases;
  for (int64_t first = 0; first < std::min(step, a.out); first++) {
    phases.push_back(make_phase(a, first, step));
  }
  return phases;
}

AxisFacts axis_facts(const ConvArrays& arrays, const ConvParams& params, size_t i) {
  int axis = static_cast<int>(i) + 1;
  return {arrays.in.shape(axis),
          arrays.weight.shape(axis),
          arrays.out.shape(axis),
          arrays.in.strides(axis),
          arrays.weight.strides(axis),
          arrays.out.strides(axis),
          params.stride[i],
          params.padding_lo[i],
          params.kernel_dilation[i],
          params.input_dilation[i],
          params.flip};
}

PlacedPhase combine(const ConvPhase& common, const PlacedAxis* const (&axes)[3], int64_t images) {
  PlacedPhase placed{common, 0};
  ConvPhase& phase = placed.phase;
  int64_t depth = phase.channels;
  phase.pixels = images;
  for (int i = 0; i < 3; i++) {
    phase.axes[i] = axes[i]->axis;
    phase.out_strides[i] = axes[i]->out_stride;
    phase.pixels *= axes[i]->axis.pixels;
    depth *= axes[i]->axis.taps;
    placed.weight_start += axes[i]->weight_start;
  }
  counted(depth);
  return placed;
}

}  // namespace

std::vector<PlacedPhase> conv_phases(const ConvArrays& arrays, const ConvParams& params) {
  std::vector<PlacedAxis> axes[3];
  size_t missing = 3 - params.stride.size();
  for (size_t i = 0; i < 3; i++) {
    axes[i] = axis_phases(i < missing ? AxisFacts() : axis_facts(arrays, params, i - missing));
  }
  ConvPhase common{};
  common.in_batch = arrays.in.strides(0);
  common.weight_row = arrays.weight.strides(0);
  common.weight_channel = arrays.weight.shape(-1) == 1 ? 1 : counted(arrays.weight.strides(-1));
  counted(int64_t{common.weight_channel} * arrays.weight.shape(-1));
  common.out_batch = arrays.out.strides(0);
  common.groups = params.groups;
  common.channels = arrays.in.shape(-1) / params.groups;
  common.out_channels = arrays.out.shape(-1) / params.groups;
  common.channels_divisor = divisor_of(common.channels);
  common.splits = 1;
  std::vector<PlacedPhase> phases;
  for (const auto& d : axes[0]) {
    for (const auto& h : axes[1]) {
      for (const auto& w : axes[2]) {
        phases.push_back(combine(common, {&d, &h, &w}, arrays.in.shape(0)));
      }
    }
  }
  return phases;
}

bool has_wide_channels(const array& a, const void* address, int groups) {
  auto piece = 16 / static_cast<int64_t>(a.itemsize());
  bool wide = reinterpret_cast<uint64_t>(address) % 16 == 0 && a.shape(-1) / groups % piece == 0;
  for (size_t i = 0; i + 1 < a.ndim(); i++) {
    wide = wide && (a.strides()[i] % piece == 0 || a.shape()[i] == 1);
  }
  return wide;
}

}  // namespace mlx::core::cuda
