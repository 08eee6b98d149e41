// Convolutions on the CPU: a product of patches and weights for every group and phase, or the
// depthwise kernels where a group is one channel.
#include "mlx/primitives/conv.h"

#include <cstring>

#include "mlx/backend/cpu/conv/depthwise.h"
#include "mlx/backend/cpu/conv/geometry.h"
#include "mlx/backend/cpu/conv/patches.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/gemm/gemm.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

/** The array itself where its channels lie side by side, else a contiguous copy. */
array with_contiguous_channels(const array& a) {
  return a.strides(-1) == 1 || a.shape(-1) == 1 ? a : contiguous(a);
}

Shape kernel_shape(const array& weight) {
  return Shape(weight.shape().begin() + 1, weight.shape().end() - 1);
}

/** Image of one group. */
Image group_image(Image image, int group, int groups) {
  image.channels /= groups;
  image.data += group * image.channels * image.itemsize;
  return image;
}

/** Offsets of all kernel positions in a weight, in elements. */
std::vector<int64_t> position_offsets(const array& weight) {
  Image kernel = image_of(weight);
  std::vector<int64_t> offsets;
  for (int64_t d = 0; d < kernel.extent[0]; d++) {
    for (int64_t h = 0; h < kernel.extent[1]; h++) {
      for (int64_t w = 0; w < kernel.extent[2]; w++) {
        offsets.push_back(d * kernel.stride[0] + h * kernel.stride[1] + w * kernel.stride[2]);
      }
    }
  }
  return offsets;
}

/** Where the output pixels of a phase lie, counted in pixels. */
std::vector<int64_t> output_pixels(const Phase& phase, const Triple& out, int64_t batch) {
  std::vector<int64_t> pixels(phase.pixels(batch));
  for (size_t i = 0; i < pixels.size(); i++) {
    PixelPosition p = pixel_position(phase, static_cast<int64_t>(i));
    int64_t pixel = p.n;
    for (int axis = 0; axis < 3; axis++) {
      pixel = pixel * out[axis] + phase.first[axis] + p.q[axis] * phase.step[axis];
    }
    pixels[i] = pixel;
  }
  return pixels;
}

/** Whether output pixel i reads input pixel i and nothing else. */
bool is_pointwise(const array& in, const ConvGeometry& geometry, const Phase& phase) {
  return in.flags().row_contiguous && phase.taps.size() == 1 && geometry.in == geometry.out &&
         phase.taps[0].at == Triple{0, 0, 0} && phase.ratio == Triple{1, 1, 1} &&
         phase.step == Triple{1, 1, 1};
}

void convolve_phase(const array& in, const array& weight, const ConvGeometry& geometry,
                    const Phase& phase, int groups, bool only_phase, array& out) {
  Image image = image_of(in);
  int64_t channels = image.channels / groups, out_channels = weight.shape(0) / groups;
  std::vector<int64_t> offsets = position_offsets(weight), rows;
  if (!only_phase) {
    rows = output_pixels(phase, geometry.out, image.batch);
    for (int64_t& row : rows) {
      row *= weight.shape(0);
    }
  }
  bool pointwise = is_pointwise(in, geometry, phase);
  parallel_for(groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; group++) {
      Image part = group_image(image, static_cast<int>(group), groups);
      PatchRows patches(part, phase);
      TapWeights taps;
      taps.out_stride = weight.strides(0);
      taps.channel_stride = weight.strides(-1);
      taps.channels = channels;
      taps.data = weight.data<char>() + group * out_channels * taps.out_stride * image.itemsize;
      for (const Tap& tap : phase.taps) {
        taps.taps.push_back(offsets[tap.position]);
      }
      Gemm g;
      g.dtype = out.dtype();
      g.m = phase.pixels(image.batch);
      g.n = out_channels;
      g.k = static_cast<int64_t>(phase.taps.size()) * channels;
      g.a.source = &patches;
      if (pointwise) {
        g.a = {part.data, image.channels, 1, nullptr};
      }
      g.b.source = &taps;
      if (pointwise) {
        g.b = {taps.data + taps.taps[0] * image.itemsize, taps.out_stride, taps.channel_stride,
               nullptr};
      }
      g.out = out.data<char>() + group * out_channels * image.itemsize;
      g.out_row_stride = weight.shape(0);
      g.out_row_offsets = only_phase ? nullptr : rows.data();
      g.kernels = &gemm_kernels(out.dtype(), channels);  // steps must not cross from tap to tap
      gemm(g);
    }
  });
}

/** The weight's cotangent for the taps of one phase; `out` is row-contiguous. */
void weight_gradient_phase(const Image& in, const Image& cotangent, const ConvGeometry& geometry,
                           const Phase& phase, int groups, array& out) {
  int64_t channels = in.channels / groups, out_channels = cotangent.channels / groups;
  int64_t kernel_elements = geometry.kernel_size() * channels;
  std::vector<int64_t> rows;
  for (const Tap& tap : phase.taps) {
    for (int64_t c = 0; c < channels; c++) {
      rows.push_back(tap.position * channels + c);
    }
  }
  // The output pixels of the phase, as an image of which one tap is read.
  Phase pixels = phase;
  pixels.ratio = phase.step;
  pixels.taps = {{phase.first, 0}};
  parallel_for(groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; group++) {
      Image in_part = group_image(in, static_cast<int>(group), groups);
      Image cotangent_part = group_image(cotangent, static_cast<int>(group), groups);
      PatchColumns patches(in_part, phase), lines(cotangent_part, pixels);
      Gemm g;
      g.dtype = out.dtype();
      g.m = static_cast<int64_t>(rows.size());
      g.n = out_channels;
      g.k = phase.pixels(in.batch);
      g.a.source = &patches;
      g.b.source = &lines;
      g.out = out.data<char>() + group * out_channels * kernel_elements * in.itemsize;
      g.out_col_stride = kernel_elements;
      g.out_row_offsets = rows.data();
      gemm(g);
    }
  });
}

bool is_depthwise(int groups, int in_channels, int out_channels) {
  return groups > 1 && in_channels == groups && out_channels == groups;
}

void eval_convolution(Convolution& primitive, const std::vector<array>& inputs,
                      std::vector<array>& outputs) {
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) {
    return;
  }
  array in = with_contiguous_channels(inputs[0]);
  const array& weight = inputs[1];
  ConvGeometry geometry(in.shape(), kernel_shape(weight), out.shape(), primitive.params());
  if (is_depthwise(primitive.params().groups, in.shape(-1), weight.shape(0))) {
    depthwise_conv(image_of(in), geometry, out.dtype(), weight.data<char>(), weight.strides(0),
                   position_offsets(weight), out.data<char>());
    return;
  }
  std::vector<Phase> phases = geometry.phases();
  for (const Phase& phase : phases) {
    convolve_phase(in, weight, geometry, phase, primitive.params().groups, phases.size() == 1, out);
  }
}

void eval_convolution_weight_gradient(ConvolutionWeightGradient& primitive,
                                      const std::vector<array>& inputs,
                                      std::vector<array>& outputs) {
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) {
    return;
  }
  array in = with_contiguous_channels(inputs[0]);
  array cotangent = with_contiguous_channels(inputs[1]);
  ConvGeometry geometry(in.shape(), primitive.kernel(), cotangent.shape(), primitive.params());
  Image image = image_of(in), cotangent_image = image_of(cotangent);
  if (is_depthwise(primitive.params().groups, in.shape(-1), cotangent.shape(-1))) {
    depthwise_weight_gradient(image, cotangent_image, geometry, out.dtype(), out.data<char>());
    return;
  }
  std::vector<Phase> phases = geometry.phases();
  size_t taps = 0;
  for (const Phase& phase : phases) {
    taps += phase.taps.size();
  }
  if (taps < static_cast<size_t>(geometry.kernel_size())) {
    // Some positions of the kernel only ever meet the zeros of the dilated input.
    std::memset(out.data<char>(), 0, out.nbytes());
  }
  for (const Phase& phase : phases) {
    weight_gradient_phase(image, cotangent_image, geometry, phase, primitive.params().groups, out);
  }
}

const Register<Convolution> convolution(eval_convolution);
const Register<ConvolutionWeightGradient> convolution_weight_gradient(
    eval_convolution_weight_gradient);

}  // namespace

}  // namespace mlx::core::cpu
