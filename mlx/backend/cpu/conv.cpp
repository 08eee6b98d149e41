// Convolutions on the CPU: the depthwise kernels where groups are narrow, the direct ones for
// floats, else a product of patches and weights for every group and phase.
#include "mlx/backend/cpu/conv.h"

#include <algorithm>
#include <cstring>

#include "mlx/backend/cpu/conv/depthwise.h"
#include "mlx/backend/cpu/conv/direct.h"
#include "mlx/backend/cpu/conv/geometry.h"
#include "mlx/backend/cpu/conv/patches.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/epilogue.h"
#include "mlx/backend/cpu/gemm/gemm.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/denormals.h"
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

/** The first group's weight, tap by tap. */
TapWeights weights_of(const array& weight, const Phase& phase) {
  TapWeights weights;
  weights.data = weight.data<char>();
  weights.out_stride = weight.strides(0);
  weights.channel_stride = weight.strides(-1);
  weights.channels = weight.shape(-1);
  std::vector<int64_t> offsets = position_offsets(weight);
  for (const Tap& tap : phase.taps) weights.taps.push_back(offsets[tap.position]);
  return weights;
}

/** By the gemm engine. The work is on the output's only phase. */
void multiply_patches(const array& in, const array& weight, const ConvGeometry& geometry,
                      const Phase& phase, int groups, bool only_phase, const RegionWork* work,
                      array& out) {
  Image image = image_of(in);
  int64_t out_channels = weight.shape(0) / groups;
  std::vector<int64_t> rows;
  if (!only_phase) {
    rows = output_pixels(phase, geometry.out, image.batch);
    for (int64_t& row : rows) row *= weight.shape(0);
  }
  bool pointwise = is_pointwise(in, geometry, phase);
  parallel_for(groups, 1, [&](int64_t begin, int64_t end) {
    for (int64_t group = begin; group < end; group++) {
      Image part = group_image(image, group, groups);
      PatchRows patches(part, phase);
      TapWeights taps = weights_of(weight, phase);
      taps.data += group * out_channels * taps.out_stride * image.itemsize;
      Gemm g;
      g.dtype = out.dtype();
      g.m = phase.pixels(image.batch);
      g.n = out_channels;
      g.k = static_cast<int64_t>(phase.taps.size()) * part.channels;
      g.a.source = &patches;
      g.b.source = &taps;
      if (pointwise) {
        g.a = {part.data, image.channels, 1, nullptr};
        g.b = {taps.data + taps.taps[0] * image.itemsize, taps.out_stride, taps.channel_stride,
               nullptr};
      }
      g.out = out.data<char>() + group * out_channels * image.itemsize;
      g.out_row_stride = weight.shape(0);
      g.out_row_offsets = only_phase ? nullptr : rows.data();
      g.kernels = &gemm_kernels(out.dtype(), part.channels);  // steps must not cross taps
      g.work = work;
      gemm(g);
    }
  });
}

/** All pixels of a dense batch in one row: what a pointwise convolution sees. */
Image as_one_row(Image image) {
  int64_t pixels = image.batch * image.extent[0] * image.extent[1] * image.extent[2];
  int64_t elements = pixels * image.channels;
  image.batch = 1;
  image.batch_stride = elements;
  image.extent = {1, 1, pixels};
  image.stride = {elements, elements, image.channels};
  return image;
}

void convolve_phase(const array& in, const array& weight, const ConvGeometry& geometry,
                    const Phase& phase, int groups, bool only_phase, const RegionWork* work,
                    array& out) {
  if (!is_direct(out.dtype(), weight.shape(-1))) {
    multiply_patches(in, weight, geometry, phase, groups, only_phase, work, out);
    return;
  }
  Image image = image_of(in);
  Phase seen = phase;
  Triple extent = geometry.out;
  if (only_phase && is_pointwise(in, geometry, phase)) {
    image = as_one_row(image);
    seen.count = extent = image.extent;
  }
  int64_t out_channels = weight.shape(0) / groups;
  direct_conv({out.dtype(), image, seen, groups, weights_of(weight, phase),
               out_channels * weight.strides(0), out_channels, extent, out.data<char>(), work});
}

/** The weight's cotangent for the taps of one phase; `out` is row-contiguous. */
void weight_gradient_phase(const Image& in, const Image& cotangent, const ConvGeometry& geometry,
                           const Phase& phase, int groups, array& out) {
  if (is_direct(out.dtype(), in.channels / groups)) {
    direct_weight_gradient(out.dtype(), in, cotangent, geometry, phase, groups, out.data<char>());
    return;
  }
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
      Image in_part = group_image(in, group, groups);
      Image cotangent_part = group_image(cotangent, group, groups);
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

constexpr int64_t kWorkGrain = 1 << 14;  // elements of the output

/** On the whole output, where it was not done region by region. */
void work_on_output(const RegionWork& work, const array& out) {
  int64_t cols = out.shape(-1), rows = static_cast<int64_t>(out.size()) / cols;
  int64_t itemsize = static_cast<int64_t>(out.itemsize());
  parallel_for(rows, std::max<int64_t>(kWorkGrain / cols, 1), [&](int64_t begin, int64_t end) {
    work.run(out.data<char>() + begin * cols * itemsize, cols, end - begin, cols);
  });
}

/** Into `out`, which has memory for dense rows. */
void convolve(const ConvParams& params, const array& input, const array& weight,
              const RegionWork* work, array& out) {
  if (out.size() == 0) {
    return;
  }
  Denormals mode(Denormals::in_products(out.dtype()));
  array in = with_contiguous_channels(input);
  ConvGeometry geometry(in.shape(), kernel_shape(weight), out.shape(), params);
  std::vector<Phase> phases = geometry.phases();
  bool only_phase = phases.size() == 1;
  const RegionWork* row_work = only_phase ? work : nullptr;  // rows of several are not dense
  if (is_depthwise(out.dtype(), params.groups, in.shape(-1), weight.shape(0))) {
    std::vector<int64_t> positions = position_offsets(weight);
    depthwise_conv(
        image_of(in), geometry, out.dtype(),
        {weight.data<char>(), weight.strides(0), weight.strides(-1), weight.shape(-1), positions},
        row_work, out.data<char>());
  } else {
    for (const Phase& phase : phases) {
      convolve_phase(in, weight, geometry, phase, params.groups, only_phase, row_work, out);
    }
  }
  if (work && !only_phase) work_on_output(*work, out);
}

void eval_convolution(Convolution& primitive, const std::vector<array>& inputs,
                      std::vector<array>& outputs) {
  outputs[0].set_data(allocator::malloc(outputs[0].nbytes()));
  convolve(primitive.params(), inputs[0], inputs[1], nullptr, outputs[0]);
}

void eval_convolution_weight_gradient(ConvolutionWeightGradient& primitive,
                                      const std::vector<array>& inputs,
                                      std::vector<array>& outputs) {
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) {
    return;
  }
  Denormals mode(Denormals::in_products(out.dtype()));
  array in = with_contiguous_channels(inputs[0]);
  array cotangent = with_contiguous_channels(inputs[1]);
  ConvGeometry geometry(in.shape(), primitive.kernel(), cotangent.shape(), primitive.params());
  Image image = image_of(in), cotangent_image = image_of(cotangent);
  int groups = primitive.params().groups;
  if (is_depthwise(out.dtype(), groups, in.shape(-1), cotangent.shape(-1))) {
    depthwise_weight_gradient(image, cotangent_image, geometry, out.dtype(), groups,
                              out.data<char>());
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
    weight_gradient_phase(image, cotangent_image, geometry, phase, groups, out);
  }
}

const Register<Convolution> convolution(eval_convolution);
const Register<ConvolutionWeightGradient> convolution_weight_gradient(
    eval_convolution_weight_gradient);

}  // namespace

void run_convolution(const Convolution& convolution, const Program& program,
                     const std::vector<array>& inputs, array& out) {
  std::vector<array> others(inputs.begin() + 2, inputs.end());
  Epilogue epilogue(program, others, inputs[0].dtype(), out);
  convolve(convolution.params(), inputs[0], inputs[1], &epilogue, epilogue.result());
}

}  // namespace mlx::core::cpu
