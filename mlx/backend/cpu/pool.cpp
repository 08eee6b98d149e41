// Pooling on the CPU: rows of windows over the image where it lies. Backward, tasks own rows of the
// image, and take from the windows that reach them what falls there.
#include "mlx/primitives/pool.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "mlx/backend/cpu/conv/live_row.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/pool_kernels.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kGrainElements = 1 << 14;

/** Windows as the outputs of a convolution whose taps are all in one phase. */
Phase windows_phase(const array& image, const array& out, const PoolSpec& spec) {
  ConvParams params;
  params.stride = spec.stride;
  params.padding_lo = params.padding_hi = spec.padding;
  params.kernel_dilation = params.input_dilation = std::vector<int>(spec.kernel.size(), 1);
  Shape kernel(spec.kernel.begin(), spec.kernel.end());
  return ConvGeometry(image.shape(), kernel, out.shape(), params).phases()[0];
}

class PoolRows {
 public:
  PoolRows(const PoolSpec& spec, const array& image, const array& out)
      : spec_(spec),
        image_(image_of(image)),
        phase_(windows_phase(image, out, spec)),
        data_(image.data<float>()),
        scale_(1.0f / static_cast<float>(phase_.taps.size())) {}

  void forward(float* out) const {
    int64_t row_elements = phase_.count[2] * image_.channels;
    int64_t grain = std::max<int64_t>(kGrainElements / row_elements, 1);
    parallel_for(rows_of(phase_, image_.batch), grain, [&](int64_t begin, int64_t end) {
      std::vector<const float*> inputs(phase_.taps.size());
      for (int64_t i = begin; i < end; ++i) {
        LiveRow live(image_, phase_, row_position(phase_, i));
        for_pieces(live, [&](PixelRange q) {
          int64_t taps = 0;
          for (const LiveTap& tap : live.taps) {
            if (is_live(tap, q)) inputs[taps++] = data_ + tap.offset + q.lo * step();
          }
          float* to = out + i * row_elements + q.lo * image_.channels;
          pool({inputs.data(), taps, q.hi - q.lo, image_.channels, step(), scale_}, to);
        });
      }
    });
  }

  /** `out` is the result of maxima, else null. */
  void backward(const float* out, const float* cotangent, float* gradient) const {
    int64_t height = image_.extent[1], planes = image_.batch * image_.extent[0];
    int64_t row_elements = image_.extent[2] * image_.channels;
    int64_t grain = std::max<int64_t>(kGrainElements / std::max<int64_t>(row_elements, 1), 1);
    parallel_for(planes * height, grain, [&](int64_t begin, int64_t end) {
      std::memset(gradient + begin * row_elements, 0, (end - begin) * row_elements * sizeof(float));
      while (begin < end) {
        int64_t plane = begin / height, last = std::min(end, (plane + 1) * height);
        fill_rows(plane, {begin % height, begin % height + last - begin}, out, cotangent, gradient);
        begin = last;
      }
    });
  }

 private:
  int64_t step() const { return phase_.ratio[2] * image_.stride[2]; }

  static bool is_live(const LiveTap& tap, PixelRange q) {
    return q.lo >= tap.range.lo && q.lo < tap.range.hi;
  }

  /** Calls f for the windows of a row that are all alike: those at its ends one by one. */
  template <typename F>
  void for_pieces(const LiveRow& live, F&& f) const {
    for (int64_t q = 0; q < live.all.lo; ++q) f(PixelRange{q, q + 1});
    if (live.all.lo < live.all.hi) f(live.all);
    for (int64_t q = live.all.hi; q < phase_.count[2]; ++q) f(PixelRange{q, q + 1});
  }

  void pool(const PoolRow& row, float* out) const {
    if (spec_.kind == PoolSpec::Mean) return pool_kernels().mean(row, out);
    if (row.taps > 0) return pool_kernels().max(row, out);
    std::fill_n(out, row.windows * row.channels, -std::numeric_limits<float>::infinity());
  }

  /** Windows along one axis that reach a place below `end` and one from `begin` on. */
  PixelRange reaching(int axis, int64_t begin, int64_t end) const {
    int64_t low = phase_.taps.front().at[axis], high = phase_.taps.back().at[axis];
    int64_t ratio = phase_.ratio[axis], count = phase_.count[axis];
    auto ceil_div = [](int64_t a, int64_t b) { return a > 0 ? (a + b - 1) / b : 0; };
    int64_t lo = std::min(ceil_div(begin - high, ratio), count);
    return {lo, std::clamp(ceil_div(end - low, ratio), lo, count)};
  }

  /** What falls on some rows of one plane of the image. */
  void fill_rows(int64_t plane, PixelRange rows, const float* out, const float* cotangent,
                 float* gradient) const {
    int64_t n = plane / image_.extent[0], d = plane % image_.extent[0];
    PixelRange depths = reaching(0, d, d + 1), heights = reaching(1, rows.lo, rows.hi);
    std::vector<const float*> inputs(phase_.taps.size());
    std::vector<float*> gradients(phase_.taps.size());
    for (int64_t qd = depths.lo; qd < depths.hi; ++qd) {
      for (int64_t qh = heights.lo; qh < heights.hi; ++qh) {
        LiveRow live(image_, phase_, {n, qd, qh});
        int64_t first = ((n * phase_.count[0] + qd) * phase_.count[1] + qh) * phase_.count[2];
        for_pieces(live, [&](PixelRange q) {
          int64_t taps = 0, at = (first + q.lo) * image_.channels;
          for (const LiveTap& tap : live.taps) {
            if (!is_live(tap, q)) continue;
            int64_t offset = tap.offset + q.lo * step();
            bool own = tap.d == d && tap.h >= rows.lo && tap.h < rows.hi;
            gradients[taps] = own ? gradient + offset : nullptr;
            inputs[taps++] = data_ + offset;
          }
          PoolRow row = {inputs.data(), taps, q.hi - q.lo, image_.channels, step(), scale_};
          if (out) {
            pool_kernels().max_gradient(row, out + at, cotangent + at, gradients.data());
          } else {
            pool_kernels().mean_gradient(row, cotangent + at, gradients.data());
          }
        });
      }
    }
  }

  const PoolSpec& spec_;
  Image image_;
  Phase phase_;
  const float* data_;
  float scale_;
};

void eval_pool(Pool& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() > 0) {
    PoolRows(primitive.spec(), contiguous(inputs[0]), out).forward(out.data<float>());
  }
}

void eval_pool_backward(PoolBackward& primitive, const std::vector<array>& inputs,
                        std::vector<array>& outputs) {
  array& gradient = outputs[0];
  gradient.set_data(allocator::malloc(gradient.nbytes()));
  if (inputs[1].size() == 0) {
    std::memset(gradient.data<char>(), 0, gradient.nbytes());
    return;
  }
  std::vector<array> dense;
  for (const array& in : inputs) dense.push_back(contiguous(in));
  const float* out = dense.size() > 2 ? dense[2].data<float>() : nullptr;
  PoolRows(primitive.spec(), dense[0], dense[1])
      .backward(out, dense[1].data<float>(), gradient.data<float>());
}

template <typename P>
bool supports(const P&, const std::vector<array>& inputs) {
  return inputs[0].dtype() == float32 && inputs[0].ndim() <= 5;
}

const Register<Pool> pool(eval_pool, supports<Pool>);
const Register<PoolBackward> pool_backward(eval_pool_backward, supports<PoolBackward>);

}  // namespace

}  // namespace mlx::core::cpu
