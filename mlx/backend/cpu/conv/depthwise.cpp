// Depthwise convolutions row by row: inside a row all taps are in the image, at its ends each pixel
// has its own taps.
#include "mlx/backend/cpu/conv/depthwise.h"

#include <algorithm>
#include <cstring>

#include "mlx/backend/cpu/conv/depthwise_kernels.h"
#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kRowGrain = 1 << 15;  // products that are worth a thread's while

const DepthwiseKernels& kernels_of(Dtype dtype) {
  const DepthwiseTables& tables = depthwise_kernels();
  return dtype == float64    ? tables.f64
         : dtype == float16  ? tables.f16
         : dtype == bfloat16 ? tables.bf16
                             : tables.f32;
}

bool inside(int64_t i, int64_t extent) { return i >= 0 && i < extent; }

// The pixels q of a row for which q * ratio + at lies in the image.
struct Range {
  int64_t lo, hi;
};

Range valid_range(int64_t at, int64_t ratio, int64_t extent, int64_t count) {
  auto ceil_div = [](int64_t a, int64_t b) { return a > 0 ? (a + b - 1) / b : 0; };
  int64_t lo = std::min(ceil_div(-at, ratio), count);
  return {lo, std::clamp(ceil_div(extent - at, ratio), lo, count)};
}

// Rows (n, d, h) of a phase, in order.
struct RowPosition {
  int64_t n, d, h;
};

RowPosition row_position(const Phase& phase, int64_t index) {
  int64_t h = index % phase.count[1], rest = index / phase.count[1];
  return {rest / phase.count[0], rest % phase.count[0], h};
}

int64_t rows_of(const Phase& phase, int64_t batch) {
  return batch * phase.count[0] * phase.count[1];
}

int64_t row_grain(const Phase& phase, int64_t channels) {
  int64_t work = phase.count[2] * channels * static_cast<int64_t>(phase.taps.size());
  return std::max<int64_t>(kRowGrain / std::max<int64_t>(work, 1), 1);
}

// A tap that reaches the image from the current row.
struct LiveTap {
  const char* input;  // for q = 0, may lie outside the image
  const void* weight;
  Range range;
};

class DepthwisePhase {
 public:
  DepthwisePhase(const Image& image, const ConvGeometry& geometry, const Phase& phase,
                 const DepthwiseKernels& kernels, const char* weights, char* out)
      : image_(image),
        geometry_(geometry),
        phase_(phase),
        kernels_(kernels),
        weights_(weights),
        out_(out) {}

  void run() const {
    int64_t grain = row_grain(phase_, image_.channels);
    parallel_for(rows_of(phase_, image_.batch), grain, [&](int64_t begin, int64_t end) {
      std::vector<LiveTap> taps;
      std::vector<const void*> pointers(2 * phase_.taps.size());
      for (int64_t i = begin; i < end; ++i) run_row(row_position(phase_, i), taps, pointers);
    });
  }

 private:
  void run_row(const RowPosition& row, std::vector<LiveTap>& taps,
               std::vector<const void*>& pointers) const {
    taps.clear();
    Range all = {0, phase_.count[2]};
    for (size_t t = 0; t < phase_.taps.size(); ++t) {
      const Triple& at = phase_.taps[t].at;
      int64_t d = row.d * phase_.ratio[0] + at[0], h = row.h * phase_.ratio[1] + at[1];
      if (!inside(d, image_.extent[0]) || !inside(h, image_.extent[1])) continue;
      int64_t offset = row.n * image_.batch_stride + d * image_.stride[0] + h * image_.stride[1] +
                       at[2] * image_.stride[2];
      Range range = valid_range(at[2], phase_.ratio[2], image_.extent[2], phase_.count[2]);
      taps.push_back({image_.data + offset * image_.itemsize,
                      weights_ + t * image_.channels * kernels_.sum_size, range});
      all = {std::max(all.lo, range.lo), std::min(all.hi, range.hi)};
    }
    if (all.hi <= all.lo) all = {phase_.count[2], phase_.count[2]};
    for (int64_t q = 0; q < all.lo; ++q) run_pixels(row, taps, pointers, q, q + 1);
    if (all.lo < all.hi) run_pixels(row, taps, pointers, all.lo, all.hi);
    for (int64_t q = all.hi; q < phase_.count[2]; ++q) run_pixels(row, taps, pointers, q, q + 1);
  }

  // Pixels [begin, end) of a row, for which each tap is in the image or not as for the first one.
  void run_pixels(const RowPosition& row, const std::vector<LiveTap>& taps,
                  std::vector<const void*>& pointers, int64_t begin, int64_t end) const {
    const void** inputs = pointers.data();
    const void** weights = inputs + phase_.taps.size();
    int64_t in_step = phase_.ratio[2] * image_.stride[2];
    int64_t count = 0;
    for (const LiveTap& tap : taps) {
      if (begin < tap.range.lo || begin >= tap.range.hi) continue;
      inputs[count] = tap.input + begin * in_step * image_.itemsize;
      weights[count++] = tap.weight;
    }
    int64_t d = phase_.first[0] + row.d * phase_.step[0],
            h = phase_.first[1] + row.h * phase_.step[1];
    int64_t w = phase_.first[2] + begin * phase_.step[2];
    int64_t pixel = ((row.n * geometry_.out[0] + d) * geometry_.out[1] + h) * geometry_.out[2] + w;
    DepthwiseRow pixels = {inputs,
                           weights,
                           count,
                           image_.channels,
                           end - begin,
                           in_step,
                           phase_.step[2] * image_.channels,
                           out_ + pixel * image_.channels * image_.itemsize};
    kernels_.row(pixels);
  }

  const Image& image_;
  const ConvGeometry& geometry_;
  const Phase& phase_;
  const DepthwiseKernels& kernels_;
  const char* weights_;
  char* out_;
};

// Adds the products of one row of output pixels to `sums` (tap, channel).
void add_row_products(const Image& image, const Image& cotangent, const Phase& phase,
                      const DepthwiseKernels& kernels, const RowPosition& row, char* sums) {
  int64_t d_out = phase.first[0] + row.d * phase.step[0];
  int64_t h_out = phase.first[1] + row.h * phase.step[1];
  for (size_t t = 0; t < phase.taps.size(); ++t) {
    const Triple& at = phase.taps[t].at;
    int64_t d = row.d * phase.ratio[0] + at[0], h = row.h * phase.ratio[1] + at[1];
    if (!inside(d, image.extent[0]) || !inside(h, image.extent[1])) continue;
    Range range = valid_range(at[2], phase.ratio[2], image.extent[2], phase.count[2]);
    int64_t in_offset = row.n * image.batch_stride + d * image.stride[0] + h * image.stride[1] +
                        (range.lo * phase.ratio[2] + at[2]) * image.stride[2];
    int64_t out_offset = row.n * cotangent.batch_stride + d_out * cotangent.stride[0] +
                         h_out * cotangent.stride[1] +
                         (phase.first[2] + range.lo * phase.step[2]) * cotangent.stride[2];
    DepthwiseProducts products = {image.data + in_offset * image.itemsize,
                                  cotangent.data + out_offset * cotangent.itemsize,
                                  image.channels,
                                  range.hi - range.lo,
                                  phase.ratio[2] * image.stride[2],
                                  phase.step[2] * cotangent.stride[2],
                                  sums + t * image.channels * kernels.sum_size};
    kernels.products(products);
  }
}

void add_sums(const DepthwiseKernels& kernels, char* to, const char* from, int64_t count) {
  auto add = [count](auto* a, const auto* b) {
    for (int64_t i = 0; i < count; ++i) a[i] += b[i];
  };
  if (kernels.sum_size == sizeof(double)) {
    add(reinterpret_cast<double*>(to), reinterpret_cast<const double*>(from));
  } else {
    add(reinterpret_cast<float*>(to), reinterpret_cast<const float*>(from));
  }
}

}  // namespace

void depthwise_conv(const Image& image, const ConvGeometry& geometry, Dtype dtype,
                    const char* weight, int64_t channel_stride,
                    const std::vector<int64_t>& position_offsets, char* out) {
  const DepthwiseKernels& kernels = kernels_of(dtype);
  for (const Phase& phase : geometry.phases()) {
    int64_t row_bytes = image.channels * kernels.sum_size;
    Scratch weights(phase.taps.size() * row_bytes);
    for (size_t t = 0; t < phase.taps.size(); ++t) {
      int64_t offset = position_offsets[phase.taps[t].position];
      kernels.widen(weight + offset * image.itemsize, channel_stride, image.channels,
                    weights.as<char>() + t * row_bytes);
    }
    DepthwisePhase(image, geometry, phase, kernels, weights.as<char>(), out).run();
  }
}

void depthwise_weight_gradient(const Image& image, const Image& cotangent,
                               const ConvGeometry& geometry, Dtype dtype, char* out) {
  const DepthwiseKernels& kernels = kernels_of(dtype);
  int64_t channels = image.channels, positions = geometry.kernel_size();
  std::memset(out, 0, positions * channels * image.itemsize);
  for (const Phase& phase : geometry.phases()) {
    int64_t count = static_cast<int64_t>(phase.taps.size()) * channels;
    int64_t bytes = count * kernels.sum_size;
    int64_t rows = rows_of(phase, image.batch);
    int64_t parts = std::clamp<int64_t>(rows / row_grain(phase, channels), 1, num_threads());
    Scratch sums(parts * bytes);
    std::memset(sums.data(), 0, parts * bytes);
    parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        for (int64_t i = part * rows / parts; i < (part + 1) * rows / parts; ++i) {
          add_row_products(image, cotangent, phase, kernels, row_position(phase, i),
                           sums.as<char>() + part * bytes);
        }
      }
    });
    for (int64_t part = 1; part < parts; ++part) {
      add_sums(kernels, sums.as<char>(), sums.as<char>() + part * bytes, count);
    }
    for (size_t t = 0; t < phase.taps.size(); ++t) {
      kernels.narrow(sums.as<char>() + t * channels * kernels.sum_size, channels,
                     out + phase.taps[t].position * image.itemsize, positions);
    }
  }
}

}  // namespace mlx::core::cpu
