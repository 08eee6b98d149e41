// Which taps of a row of output pixels lie in the image.
#include "mlx/backend/cpu/conv/live_row.h"

#include <algorithm>

namespace mlx::core::cpu {

namespace {

bool inside(int64_t i, int64_t extent) { return i >= 0 && i < extent; }

// The pixels q of a row for which q * ratio + at lies in the image.
PixelRange valid_range(int64_t at, int64_t ratio, int64_t extent, int64_t count) {
  auto ceil_div = [](int64_t a, int64_t b) { return a > 0 ? (a + b - 1) / b : 0; };
  int64_t lo = std::min(ceil_div(-at, ratio), count);
  return {lo, std::clamp(ceil_div(extent - at, ratio), lo, count)};
}

}  // namespace

RowPosition row_position(const Phase& phase, int64_t index) {
  int64_t h = index % phase.count[1], rest = index / phase.count[1];
  return {rest / phase.count[0], rest % phase.count[0], h};
}

int64_t rows_of(const Phase& phase, int64_t batch) {
  return batch * phase.count[0] * phase.count[1];
}

LiveRow::LiveRow(const Image& image, const Phase& phase, const RowPosition& row)
    : all{0, phase.count[2]} {
  taps.reserve(phase.taps.size());
  for (size_t t = 0; t < phase.taps.size(); ++t) {
    const Triple& at = phase.taps[t].at;
    int64_t d = row.d * phase.ratio[0] + at[0], h = row.h * phase.ratio[1] + at[1];
    if (!inside(d, image.extent[0]) || !inside(h, image.extent[1])) continue;
    int64_t offset = row.n * image.batch_stride + d * image.stride[0] + h * image.stride[1] +
                     at[2] * image.stride[2];
    PixelRange range = valid_range(at[2], phase.ratio[2], image.extent[2], phase.count[2]);
    taps.push_back({offset, static_cast<int64_t>(t), d, h, range});
    all = {std::max(all.lo, range.lo), std::min(all.hi, range.hi)};
  }
  if (all.hi <= all.lo) all = {phase.count[2], phase.count[2]};
}

}  // namespace mlx::core::cpu
