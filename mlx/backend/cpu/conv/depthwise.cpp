// Depthwise convolutions row by row: inside a row all taps are in the image, at its ends each pixel
// has its own taps.
#include "mlx/backend/cpu/conv/depthwise.h"

#include <algorithm>
#include <cstring>

#include "mlx/backend/cpu/conv/depthwise_kernels.h"
#include "mlx/backend/cpu/conv/live_row.h"
#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kTaskWork = 1 << 17;  // products that are worth a thread's while
constexpr int64_t kTasksPerThread = 8;
constexpr int64_t kMostParts = 32;

const DepthwiseKernels& kernels_of(Dtype dtype) {
  const DepthwiseTables& tables = depthwise_kernels();
  return dtype == float64    ? tables.f64
         : dtype == float16  ? tables.f16
         : dtype == bfloat16 ? tables.bf16
                             : tables.f32;
}

int64_t row_work(const Phase& phase, int64_t channels, int64_t group) {
  int64_t products = channels * group * static_cast<int64_t>(phase.taps.size());
  return std::max<int64_t>(phase.count[2] * products, 1);
}

// How many taps in a row of the kernel each read one pixel further than the one before; 1 where
// there are no kernels for that.
int64_t run_of(const Phase& phase, int64_t group) {
  if (group > 1) return 1;
  size_t run = 1;
  auto follows = [&](size_t t) {
    const Triple &a = phase.taps[t - 1].at, &b = phase.taps[t].at;
    return a[0] == b[0] && a[1] == b[1] && b[2] - a[2] == phase.ratio[2];
  };
  while (run < phase.taps.size() && follows(run)) ++run;
  if (!is_depthwise_run(static_cast<int64_t>(run)) || phase.taps.size() % run) return 1;
  for (size_t t = 1; t < phase.taps.size(); ++t) {
    if (t % run && !follows(t)) return 1;
  }
  return static_cast<int64_t>(run);
}

class DepthwisePhase {
 public:
  DepthwisePhase(const Image& image, const ConvGeometry& geometry, const Phase& phase,
                 const DepthwiseKernels& kernels, const char* weights, int64_t group,
                 const RegionWork* work, char* out)
      : image_(image),
        geometry_(geometry),
        phase_(phase),
        kernels_(kernels),
        weights_(weights),
        group_(group),
        work_(work),
        out_(out),
        run_(run_of(phase, group)),
        row_bytes_(group * image.channels * kernels.sum_size) {}

  // Tasks are neighbouring rows.
  void run() const {
    int64_t rows = rows_of(phase_, image_.batch);
    int64_t few = std::max<int64_t>(kTaskWork / row_work(phase_, image_.channels, group_), 1);
    int64_t tasks = std::clamp<int64_t>(rows / few, 1, kTasksPerThread * num_threads());
    parallel_for(tasks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) run_rows(i * rows / tasks, (i + 1) * rows / tasks);
    });
  }

 private:
  // Whole rows one after the other: those above are still in the L2 cache, and memory is read and
  // written in one stream. The pixels at a row's ends, which not all taps serve, are taken singly.
  void run_rows(int64_t begin, int64_t end) const {
    std::vector<const void*> pointers(2 * phase_.taps.size());
    for (int64_t i = begin; i < end; ++i) {
      LiveRow live(image_, phase_, row_position(phase_, i));
      for (int64_t q = 0; q < live.all.lo; ++q) run_pixels(i, live, pointers, 1, {q, q + 1});
      if (live.all.lo < live.all.hi) run_pixels(i, live, pointers, run_, live.all);
      for (int64_t q = live.all.hi; q < phase_.count[2]; ++q) {
        run_pixels(i, live, pointers, 1, {q, q + 1});
      }
      if (work_) work_->run(output(i, 0), image_.channels, phase_.count[2], image_.channels);
    }
  }

  // Pixels of a row for which each tap is in the image or not as for the first one.
  void run_pixels(int64_t row, const LiveRow& live, std::vector<const void*>& pointers, int64_t run,
                  PixelRange pixels) const {
    const void** inputs = pointers.data();
    const void** weights = inputs + phase_.taps.size();
    int64_t in_step = phase_.ratio[2] * image_.stride[2];
    int64_t count = 0;
    for (const LiveTap& tap : live.taps) {
      if (pixels.lo < tap.range.lo || pixels.lo >= tap.range.hi) continue;
      inputs[count] = image_.data + (tap.offset + pixels.lo * in_step) * image_.itemsize;
      weights[count++] = weights_ + tap.tap * row_bytes_;
    }
    kernels_.row({inputs, weights, count, run, group_, image_.channels, pixels.hi - pixels.lo,
                  in_step, phase_.step[2] * image_.channels, output(row, pixels.lo)});
  }

  char* output(int64_t row, int64_t q) const {
    RowPosition at = row_position(phase_, row);
    int64_t d = phase_.first[0] + at.d * phase_.step[0];
    int64_t h = phase_.first[1] + at.h * phase_.step[1];
    int64_t w = phase_.first[2] + q * phase_.step[2];
    int64_t pixel = ((at.n * geometry_.out[0] + d) * geometry_.out[1] + h) * geometry_.out[2] + w;
    return out_ + pixel * image_.channels * image_.itemsize;
  }

  const Image& image_;
  const ConvGeometry& geometry_;
  const Phase& phase_;
  const DepthwiseKernels& kernels_;
  const char* weights_;
  int64_t group_;
  const RegionWork* work_;
  char* out_;
  int64_t run_, row_bytes_;
};

// Adds the products of rows of output pixels to sums (tap, channel of a group, channel).
class DepthwiseSums {
 public:
  DepthwiseSums(const Image& image, const Image& cotangent, const Phase& phase,
                const DepthwiseKernels& kernels, int64_t group, char* sums)
      : image_(image),
        cotangent_(cotangent),
        phase_(phase),
        kernels_(kernels),
        group_(group),
        sums_(sums),
        run_(run_of(phase, group)),
        inputs_(phase.taps.size()),
        to_(phase.taps.size()) {}

  void add_row(const RowPosition& row) {
    LiveRow live(image_, phase_, row);
    int64_t d = phase_.first[0] + row.d * phase_.step[0];
    int64_t h = phase_.first[1] + row.h * phase_.step[1];
    int64_t offset = row.n * cotangent_.batch_stride + d * cotangent_.stride[0] +
                     h * cotangent_.stride[1] + phase_.first[2] * cotangent_.stride[2];
    const char* cotangent = cotangent_.data + offset * cotangent_.itemsize;
    for (int64_t q = 0; q < live.all.lo; ++q) add_pixels(live, cotangent, 1, {q, q + 1});
    if (live.all.lo < live.all.hi) add_pixels(live, cotangent, run_, live.all);
    for (int64_t q = live.all.hi; q < phase_.count[2]; ++q) {
      add_pixels(live, cotangent, 1, {q, q + 1});
    }
  }

 private:
  void add_pixels(const LiveRow& live, const char* cotangent, int64_t run, PixelRange pixels) {
    int64_t in_step = phase_.ratio[2] * image_.stride[2];
    int64_t cotangent_step = phase_.step[2] * cotangent_.stride[2];
    int64_t count = 0;
    for (const LiveTap& tap : live.taps) {
      if (pixels.lo < tap.range.lo || pixels.lo >= tap.range.hi) continue;
      inputs_[count] = image_.data + (tap.offset + pixels.lo * in_step) * image_.itemsize;
      to_[count++] = sums_ + tap.tap * group_ * image_.channels * kernels_.sum_size;
    }
    kernels_.products({inputs_.data(), to_.data(), count, run, group_,
                       cotangent + pixels.lo * cotangent_step * cotangent_.itemsize,
                       image_.channels, pixels.hi - pixels.lo, in_step, cotangent_step});
  }

  const Image& image_;
  const Image& cotangent_;
  const Phase& phase_;
  const DepthwiseKernels& kernels_;
  int64_t group_;
  char* sums_;
  int64_t run_;
  std::vector<const void*> inputs_;
  std::vector<void*> to_;
};

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

bool is_depthwise(Dtype dtype, int groups, int64_t in_channels, int64_t out_channels) {
  int64_t group = in_channels / groups;
  return groups > 1 && in_channels == out_channels && is_depthwise_group(group) &&
         group <= kernels_of(dtype).lanes;
}

void depthwise_conv(const Image& image, const ConvGeometry& geometry, Dtype dtype,
                    const DepthwiseWeight& weight, const RegionWork* work, char* out) {
  const DepthwiseKernels& kernels = kernels_of(dtype);
  int64_t row_bytes = image.channels * kernels.sum_size;
  for (const Phase& phase : geometry.phases()) {
    Scratch weights(static_cast<int64_t>(phase.taps.size()) * weight.group * row_bytes);
    char* to = weights.as<char>();
    for (const Tap& tap : phase.taps) {
      for (int64_t k = 0; k < weight.group; ++k, to += row_bytes) {
        int64_t offset = weight.positions[tap.position] + k * weight.channel_stride;
        kernels.widen(weight.data + offset * image.itemsize, weight.out_stride, image.channels, to);
      }
    }
    DepthwisePhase(image, geometry, phase, kernels, weights.as<char>(), weight.group, work, out)
        .run();
  }
}

void depthwise_weight_gradient(const Image& image, const Image& cotangent,
                               const ConvGeometry& geometry, Dtype dtype, int groups, char* out) {
  const DepthwiseKernels& kernels = kernels_of(dtype);
  int64_t channels = image.channels, group = channels / groups;
  int64_t kernel_elements = geometry.kernel_size() * group;
  std::memset(out, 0, kernel_elements * channels * image.itemsize);
  for (const Phase& phase : geometry.phases()) {
    int64_t count = static_cast<int64_t>(phase.taps.size()) * group * channels;
    int64_t bytes = count * kernels.sum_size;
    int64_t rows = rows_of(phase, image.batch);
    int64_t few = std::max<int64_t>(kTaskWork / row_work(phase, channels, group), 1);
    int64_t parts = std::clamp<int64_t>(rows / few, 1, kMostParts);  // by the shapes alone
    Scratch sums(parts * bytes);
    std::memset(sums.data(), 0, parts * bytes);
    parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) {
        DepthwiseSums own(image, cotangent, phase, kernels, group, sums.as<char>() + part * bytes);
        for (int64_t i = part * rows / parts; i < (part + 1) * rows / parts; ++i) {
          own.add_row(row_position(phase, i));
        }
      }
    });
    for (int64_t part = 1; part < parts; ++part) {
      add_sums(kernels, sums.as<char>(), sums.as<char>() + part * bytes, count);
    }
    const char* from = sums.as<char>();
    for (const Tap& tap : phase.taps) {
      for (int64_t k = 0; k < group; ++k, from += channels * kernels.sum_size) {
        kernels.narrow(from, channels, out + (tap.position * group + k) * image.itemsize,
                       kernel_elements);
      }
    }
  }
}

}  // namespace mlx::core::cpu
