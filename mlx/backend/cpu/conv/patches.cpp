// Packing of patches: taps outside the image read a row of zeros.
#include "mlx/backend/cpu/conv/patches.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "mlx/backend/cpu/gemm/scratch.h"

namespace mlx::core::cpu {

namespace {

constexpr int kMaxWidth = 64;
constexpr int64_t kLines = 256;
constexpr int64_t kFewChannels = 16;  // below: copy patches together before they are packed
constexpr int64_t kVectorBytes = 64;
alignas(64) const char zeros[16 << 10] = {};

bool inside(int64_t i, int64_t extent) {
  return static_cast<uint64_t>(i) < static_cast<uint64_t>(extent);
}

char* panel_at(const GemmKernels& kernels, void* panel, int panel_width, int64_t depth) {
  return static_cast<char*>(panel) + depth / kernels.unit * panel_width * kernels.packed_size;
}

}  // namespace

Patches::Walk::Walk(const Patches& patches, int64_t first)
    : patches_(patches), position_(pixel_position(patches.phase, first)), pixel_(current()) {}

Patches::Pixel Patches::Walk::current() const {
  const Image& image = patches_.image;
  Pixel pixel;
  int64_t offset = position_.n * image.batch_stride;
  for (int axis = 0; axis < 3; ++axis) {
    pixel.at[axis] = position_.q[axis] * patches_.phase.ratio[axis];
    offset += pixel.at[axis] * image.stride[axis];
  }
  pixel.base = image.data + offset * image.itemsize;
  return pixel;
}

Patches::Pixel Patches::Walk::next() {
  const Phase& phase = patches_.phase;
  const Image& image = patches_.image;
  Pixel pixel = pixel_;
  if (++position_.q[2] < phase.count[2]) {
    pixel_.at[2] += phase.ratio[2];
    pixel_.base += phase.ratio[2] * image.stride[2] * image.itemsize;
    return pixel;
  }
  position_.q[2] = 0;
  if (++position_.q[1] == phase.count[1]) {
    position_.q[1] = 0;
    if (++position_.q[0] == phase.count[0]) {
      position_.q[0] = 0;
      ++position_.n;
    }
  }
  pixel_ = current();
  return pixel;
}

Patches::Patches(const Image& image, const Phase& phase) : image(image), phase(phase) {
  constexpr int64_t kFar = std::numeric_limits<int64_t>::max();
  lowest_ = {kFar, kFar, kFar};
  highest_ = {-kFar, -kFar, -kFar};
  for (const Tap& tap : phase.taps) {
    int64_t offset = 0;
    for (int i = 0; i < 3; ++i) {
      offset += tap.at[i] * image.stride[i];
      lowest_[i] = std::min(lowest_[i], tap.at[i]);
      highest_[i] = std::max(highest_[i], tap.at[i]);
    }
    tap_offsets_.push_back(offset * image.itemsize);
  }
  // Reading a vector past a piece must stay within the image: not so for its last pixels, nor
  // where strides run backwards.
  int64_t span = (image.batch - 1) * image.batch_stride + image.channels;
  bool forward = image.batch_stride >= 0;
  for (int i = 0; i < 3; ++i) {
    span += (image.extent[i] - 1) * image.stride[i];
    forward &= image.stride[i] >= 0;
  }
  int64_t reach = tap_offsets_.empty()
                      ? 0
                      : *std::max_element(tap_offsets_.begin(), tap_offsets_.end()) +
                            image.channels * image.itemsize + kVectorBytes;
  last_overrun_ = forward ? image.data + span * image.itemsize - reach : nullptr;
}

const char* Patches::address(const Pixel& pixel, size_t tap) const {
  const Triple& at = phase.taps[tap].at;
  bool in_image = inside(pixel.at[0] + at[0], image.extent[0]) &
                  inside(pixel.at[1] + at[1], image.extent[1]) &
                  inside(pixel.at[2] + at[2], image.extent[2]);
  return in_image ? pixel.base + tap_offsets_[tap] : nullptr;
}

std::vector<Patches::Piece> Patches::pieces(int64_t begin, int64_t count) const {
  std::vector<Piece> result;
  for (int64_t done = 0; done < count;) {
    int64_t tap = (begin + done) / image.channels, channel = (begin + done) % image.channels;
    int64_t here = std::min(image.channels - channel, count - done);
    Piece piece = {tap_offsets_[tap] + channel * image.itemsize, here * image.itemsize};
    if (!result.empty() && result.back().offset + result.back().bytes == piece.offset) {
      result.back().bytes += piece.bytes;
    } else {
      result.push_back(piece);
    }
    done += here;
  }
  return result;
}

bool Patches::can_overrun(const Pixel& pixel) const {
  bool all_inside = true;
  for (int i = 0; i < 3; ++i) {
    all_inside &= pixel.at[i] + lowest_[i] >= 0;
    all_inside &= pixel.at[i] + highest_[i] < image.extent[i];
  }
  return all_inside && pixel.base <= last_overrun_;
}

void Patches::gather_by_tap(const Pixel& pixel, int64_t begin, int64_t count, char* to) const {
  for (int64_t done = 0; done < count;) {
    int64_t tap = (begin + done) / image.channels, channel = (begin + done) % image.channels;
    int64_t here = std::min(image.channels - channel, count - done);
    const char* from = address(pixel, tap);
    size_t bytes = here * image.itemsize;
    if (from) {
      std::memcpy(to, from + channel * image.itemsize, bytes);
    } else {
      std::memset(to, 0, bytes);
    }
    to += bytes;
    done += here;
  }
}

void Patches::gather(const Pixel& pixel, int64_t begin, int64_t count,
                     const std::vector<Piece>& pieces, char* to) const {
  if (!can_overrun(pixel)) return gather_by_tap(pixel, begin, count, to);
  for (const Piece& piece : pieces) {
    const char* from = pixel.base + piece.offset;
    for (int64_t i = 0; i < piece.bytes; i += kVectorBytes) {
      std::memcpy(to + i, from + i, kVectorBytes);
    }
    to += piece.bytes;
  }
}

void PatchRows::pack(const GemmKernels& kernels, void* panel, int panel_width, int64_t begin,
                     int count, int64_t depth_begin, int64_t depth) const {
  int64_t channels = patches_.image.channels, itemsize = patches_.image.itemsize;
  Patches::Walk walk(patches_, begin);
  const void* rows[kMaxWidth];
  if (channels < kFewChannels) {
    int64_t bytes = depth * itemsize;
    std::vector<Patches::Piece> pieces = patches_.pieces(depth_begin, depth);
    Scratch gathered(count * bytes + kVectorBytes);
    for (int i = 0; i < count; ++i) {
      char* row = gathered.as<char>() + i * bytes;
      patches_.gather(walk.next(), depth_begin, depth, pieces, row);
      rows[i] = row;
    }
    kernels.pack_rows(panel, panel_width, rows, count, depth);
    return;
  }
  Patches::Pixel pixels[kMaxWidth];
  for (int i = 0; i < count; ++i) pixels[i] = walk.next();
  for (int64_t done = 0; done < depth;) {
    size_t tap = (depth_begin + done) / channels;
    int64_t channel = (depth_begin + done) % channels;
    int64_t piece = std::min(channels - channel, depth - done);
    for (int i = 0; i < count; ++i) {
      const char* from = patches_.address(pixels[i], tap);
      rows[i] = from ? from + channel * itemsize : zeros;
    }
    kernels.pack_rows(panel_at(kernels, panel, panel_width, done), panel_width, rows, count, piece);
    done += piece;
  }
}

// Lines of pixels [first, first + count) of one output row; `row` is where q = 0 would read.
void PatchColumns::fill_run(const Tap& tap, const char* row, int64_t first, int64_t count,
                            const void** lines) const {
  const Image& image = patches_.image;
  const Phase& phase = patches_.phase;
  int64_t ratio = phase.ratio[2], at = tap.at[2];
  int64_t step = ratio * image.stride[2] * image.itemsize;
  auto ceil_div = [](int64_t a, int64_t b) { return a > 0 ? (a + b - 1) / b : 0; };
  int64_t lo = ceil_div(-at, ratio), hi = ceil_div(image.extent[2] - at, ratio);
  for (int64_t i = 0; i < count; ++i) {
    int64_t q = first + i;
    lines[i] = q >= lo && q < hi ? row + q * step : zeros;
  }
}

void PatchColumns::fill_lines(const Tap& tap, int64_t channel, int64_t pixel, int64_t count,
                              const void** lines) const {
  const Image& image = patches_.image;
  const Phase& phase = patches_.phase;
  while (count > 0) {
    PixelPosition p = pixel_position(phase, pixel);
    int64_t run = std::min(phase.count[2] - p.q[2], count);
    int64_t d = p.q[0] * phase.ratio[0] + tap.at[0], h = p.q[1] * phase.ratio[1] + tap.at[1];
    if (inside(d, image.extent[0]) && inside(h, image.extent[1])) {
      int64_t offset = p.n * image.batch_stride + d * image.stride[0] + h * image.stride[1] +
                       tap.at[2] * image.stride[2] + channel;
      fill_run(tap, image.data + offset * image.itemsize, p.q[2], run, lines);
    } else {
      std::fill_n(lines, run, zeros);
    }
    lines += run;
    pixel += run;
    count -= run;
  }
}

// Up to kLines pixels of a panel at a time, either straight from the image or copied together.
void PatchColumns::pack(const GemmKernels& kernels, void* panel, int panel_width, int64_t begin,
                        int count, int64_t depth_begin, int64_t depth) const {
  const void* lines[kLines];
  int64_t channels = patches_.image.channels;
  bool one_tap = begin % channels + count <= channels;
  int64_t line_bytes = count * patches_.image.itemsize;
  std::vector<Patches::Piece> pieces;
  if (!one_tap) pieces = patches_.pieces(begin, count);
  Scratch gathered(one_tap ? 0 : kLines * line_bytes + kVectorBytes);
  Patches::Walk walk(patches_, depth_begin);
  for (int64_t k = 0; k < depth; k += kLines) {
    int64_t here = std::min(kLines, depth - k);
    if (one_tap) {
      fill_lines(patches_.phase.taps[begin / channels], begin % channels, depth_begin + k, here,
                 lines);
    }
    for (int64_t i = 0; i < here && !one_tap; ++i) {
      char* line = gathered.as<char>() + i * line_bytes;
      patches_.gather(walk.next(), begin, count, pieces, line);
      lines[i] = line;
    }
    kernels.pack_lines(panel_at(kernels, panel, panel_width, k), panel_width, lines, count, here);
  }
}

void TapWeights::pack(const GemmKernels& kernels, void* panel, int panel_width, int64_t begin,
                      int count, int64_t depth_begin, int64_t depth) const {
  for (int64_t done = 0; done < depth;) {
    int64_t tap = (depth_begin + done) / channels, channel = (depth_begin + done) % channels;
    int64_t piece = std::min(channels - channel, depth - done);
    int64_t offset = taps[tap] + channel * channel_stride + begin * out_stride;
    pack_panel(kernels, panel_at(kernels, panel, panel_width, done), panel_width,
               data + offset * kernels.source_size, out_stride, channel_stride, count, piece);
    done += piece;
  }
}

}  // namespace mlx::core::cpu
