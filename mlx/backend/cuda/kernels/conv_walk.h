// Where convolutions read and write: taps and pixels as addresses and positions in the image.
#pragma once

#include "mlx/backend/cuda/kernels/conv_shape.h"
#include "mlx/backend/cuda/kernels/fold.h"

namespace mlx::core::kernels {

/** An entry of the depth: what it adds to a pixel's position, to its address and to the weight's.
 */
struct Tap {
  int32_t in, weight, at[3];

  MLX_FN Tap() {}
  MLX_FN Tap(const ConvPhase& p, int k) {
    uint32_t tap = p.channels_divisor.divide(static_cast<uint32_t>(k));
    in = k - static_cast<int32_t>(tap) * p.channels;
    weight = in * p.weight_channel;
#pragma unroll
    for (int axis = 2; axis >= 0; axis--) {
      const ConvAxis& a = p.axes[axis];
      uint32_t next = axis > 0 ? a.taps_divisor.divide(tap) : 0;
      auto along = static_cast<int32_t>(tap) - static_cast<int32_t>(next) * a.taps;
      tap = next;
      at[axis] = along * a.at_step;
      in += along * a.tap_in;
      weight += along * a.tap_weight;
    }
  }
};

/** An output pixel: where it reads with a tap that adds nothing, and where it is written. */
struct Pixel {
  int64_t in, out;
  int32_t at[3];

  MLX_FN Pixel() {}
  MLX_FN Pixel(const ConvPhase& p, int64_t index) {
    bool exists = index < p.pixels;
    int64_t rest = exists ? index : 0;
    in = out = 0;
#pragma unroll
    for (int axis = 2; axis >= 0; axis--) {
      const ConvAxis& a = p.axes[axis];
      int64_t next = rest <= 0x7fffffff ? a.pixels_divisor.divide(static_cast<uint32_t>(rest))
                                        : rest / a.pixels;
      auto q = static_cast<int32_t>(rest - next * a.pixels);
      rest = next;
      at[axis] = q * a.ratio + a.at;
      in += at[axis] * a.in_stride;
      out += (a.first + q * a.step) * p.out_strides[axis];
    }
    in += rest * p.in_batch;
    out += rest * p.out_batch;
    if (!exists) at[0] = INT32_MIN / 2;
  }
};

MLX_FN bool is_inside(const ConvPhase& p, const int32_t (&at)[3], const int32_t (&tap)[3]) {
  bool inside = true;
#pragma unroll
  for (int axis = 0; axis < 3; axis++) {
    inside &=
        static_cast<uint32_t>(at[axis] + tap[axis]) < static_cast<uint32_t>(p.axes[axis].extent);
  }
  return inside;
}

/** Takes the numbers of a block apart, the fastest first. */
class BlockNumber {
 public:
  MLX_FN BlockNumber() : rest_(blockIdx.x) {}
  MLX_FN int next(int64_t count) {
    uint32_t divided = rest_ / static_cast<uint32_t>(count);
    uint32_t number = rest_ - divided * static_cast<uint32_t>(count);
    rest_ = divided;
    return static_cast<int>(number);
  }
  MLX_FN int64_t last() const { return rest_; }

 private:
  uint32_t rest_;
};

/** Calls work(phase, block) for the phase that this block belongs to. */
template <int most, typename Work>
MLX_FN void with_phase(const ConvPhases<most>& all, Work work) {
  BlockNumber block;
  work(all.phases[most == 1 ? 0 : block.next(all.count)], block);
}

MLX_FN int64_t tiles_of(int64_t count, int each) { return (count + each - 1) / each; }

}  // namespace mlx::core::kernels
