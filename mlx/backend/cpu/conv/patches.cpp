// Packing of patches: taps outside the image read a row of zeros.
#include "mlx/backend/cpu/conv/patches.h"

#include <algorithm>
#include <cstring>

#include "mlx/backend/cpu/gemm/scratch.h"

namespace mlx::core::cpu {

namespace {

constexpr int kMaxWidth = 64;
constexpr int64_t kLines = 256;
constexpr int64_t kFewChannels = 16;  // below: copy patches together before they are packed
alignas(64) const char zeros[16 << 10] = {};

bool inside(int64_t i, int64_t extent) {
  return static_cast<uint64_t>(i) < static_cast<uint64_t>(extent);
}

char* panel_at(const GemmKernels& kernels, void* panel, int panel_width, int64_t depth) {
  return static_cast<char*>(panel) + depth / kernels.unit * panel_width * kernels.packed_size;
}

}  // namespace

struct PatchRows::Pixel {
  const char* base;
  Triple at;
};

PatchRows::PatchRows(const Image& image, const Phase& phase) : image_(image), phase_(phase) {
  size_t count = phase.taps.size();
  for (const Tap& tap : phase.taps) {
    int64_t offset = 0;
    for (int i = 0; i < 3; ++i) offset += tap.at[i] * image.stride[i];
    tap_offsets_.push_back(offset * image.itemsize);
  }
  for (size_t t = 0; t < count; ++t) {
    joined_.push_back(t + 1 < count && phase.taps[t + 1].at[0] == phase.taps[t].at[0] &&
                      phase.taps[t + 1].at[1] == phase.taps[t].at[1] &&
                      tap_offsets_[t + 1] - tap_offsets_[t] == image.channels * image.itemsize);
  }
}

// The channels that a tap reads for a pixel, or null outside the image.
const char* PatchRows::address(const Pixel& pixel, size_t tap) const {
  const Triple& at = phase_.taps[tap].at;
  bool in_image = inside(pixel.at[0] + at[0], image_.extent[0]) &
                  inside(pixel.at[1] + at[1], image_.extent[1]) &
                  inside(pixel.at[2] + at[2], image_.extent[2]);
  return in_image ? pixel.base + tap_offsets_[tap] : nullptr;
}

// Copies part of one patch to contiguous memory.
void PatchRows::gather(const Pixel& pixel, char* to, int64_t depth_begin, int64_t depth) const {
  int64_t channels = image_.channels;
  for (int64_t done = 0; done < depth;) {
    size_t tap = (depth_begin + done) / channels;
    int64_t channel = (depth_begin + done) % channels;
    int64_t piece = std::min(channels - channel, depth - done);
    const char* from = address(pixel, tap);
    for (; from && joined_[tap] && done + piece < depth && address(pixel, tap + 1); ++tap) {
      piece += std::min(channels, depth - done - piece);
    }
    size_t bytes = piece * image_.itemsize;
    if (from) {
      std::memcpy(to, from + channel * image_.itemsize, bytes);
    } else {
      std::memset(to, 0, bytes);
    }
    to += bytes;
    done += piece;
  }
}

void PatchRows::pack(const GemmKernels& kernels, void* panel, int panel_width, int64_t begin,
                     int count, int64_t depth_begin, int64_t depth) const {
  Pixel pixels[kMaxWidth];
  PixelPosition p = pixel_position(phase_, begin);
  for (int i = 0; i < count; ++i) {
    int64_t offset = p.n * image_.batch_stride;
    for (int axis = 0; axis < 3; ++axis) {
      pixels[i].at[axis] = p.q[axis] * phase_.ratio[axis];
      offset += pixels[i].at[axis] * image_.stride[axis];
    }
    pixels[i].base = image_.data + offset * image_.itemsize;
    for (int axis = 2; axis >= 0 && ++p.q[axis] == phase_.count[axis]; --axis) {
      p.q[axis] = 0;
      if (axis == 0) ++p.n;
    }
  }
  const void* rows[kMaxWidth];
  if (image_.channels < kFewChannels) {
    int64_t bytes = depth * image_.itemsize;
    Scratch patches(count * bytes);
    for (int i = 0; i < count; ++i) {
      rows[i] = patches.as<char>() + i * bytes;
      gather(pixels[i], patches.as<char>() + i * bytes, depth_begin, depth);
    }
    kernels.pack_rows(panel, panel_width, rows, count, depth);
    return;
  }
  for (int64_t done = 0; done < depth;) {
    size_t tap = (depth_begin + done) / image_.channels;
    int64_t channel = (depth_begin + done) % image_.channels;
    int64_t piece = std::min(image_.channels - channel, depth - done);
    for (int i = 0; i < count; ++i) {
      const char* from = address(pixels[i], tap);
      rows[i] = from ? from + channel * image_.itemsize : zeros;
    }
    kernels.pack_rows(panel_at(kernels, panel, panel_width, done), panel_width, rows, count, piece);
    done += piece;
  }
}

// Lines of pixels [first, first + count) of one output row; `row` is where q = 0 would read.
void PatchColumns::fill_run(const Tap& tap, const char* row, int64_t first, int64_t count,
                            const void** lines) const {
  int64_t ratio = phase_.ratio[2], at = tap.at[2];
  int64_t step = ratio * image_.stride[2] * image_.itemsize;
  auto ceil_div = [](int64_t a, int64_t b) { return a > 0 ? (a + b - 1) / b : 0; };
  int64_t lo = ceil_div(-at, ratio), hi = ceil_div(image_.extent[2] - at, ratio);
  for (int64_t i = 0; i < count; ++i) {
    int64_t q = first + i;
    lines[i] = q >= lo && q < hi ? row + q * step : zeros;
  }
}

void PatchColumns::fill_lines(const Tap& tap, int64_t channel, int64_t pixel, int64_t count,
                              const void** lines) const {
  while (count > 0) {
    PixelPosition p = pixel_position(phase_, pixel);
    int64_t run = std::min(phase_.count[2] - p.q[2], count);
    int64_t d = p.q[0] * phase_.ratio[0] + tap.at[0], h = p.q[1] * phase_.ratio[1] + tap.at[1];
    if (inside(d, image_.extent[0]) && inside(h, image_.extent[1])) {
      int64_t offset = p.n * image_.batch_stride + d * image_.stride[0] + h * image_.stride[1] +
                       tap.at[2] * image_.stride[2] + channel;
      fill_run(tap, image_.data + offset * image_.itemsize, p.q[2], run, lines);
    } else {
      std::fill_n(lines, run, zeros);
    }
    lines += run;
    pixel += run;
    count -= run;
  }
}

void PatchColumns::pack(const GemmKernels& kernels, void* panel, int panel_width, int64_t begin,
                        int count, int64_t depth_begin, int64_t depth) const {
  const void* lines[kLines];
  int64_t channels = image_.channels;
  bool one_tap = begin % channels + count <= channels;
  int64_t line_bytes = count * image_.itemsize;
  Scratch gathered(one_tap ? 0 : kLines * line_bytes);
  for (int64_t k = 0; k < depth; k += kLines) {
    int64_t here = std::min(kLines, depth - k);
    for (int64_t w = 0; w < count;) {
      int64_t channel = (begin + w) % channels;
      int64_t piece = std::min<int64_t>(channels - channel, count - w);
      fill_lines(phase_.taps[(begin + w) / channels], channel, depth_begin + k, here, lines);
      if (!one_tap) {
        char* to = gathered.as<char>() + w * image_.itemsize;
        for (int64_t i = 0; i < here; ++i) {
          std::memcpy(to + i * line_bytes, lines[i], piece * image_.itemsize);
        }
      }
      w += piece;
    }
    for (int64_t i = 0; i < here && !one_tap; ++i) lines[i] = gathered.as<char>() + i * line_bytes;
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
