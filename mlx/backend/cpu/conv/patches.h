// Convolution operands as the gemm engine packs them: image patches that are never written to
// memory as a matrix, and kernels tap by tap.
#pragma once

#include "mlx/backend/cpu/conv/geometry.h"
#include "mlx/backend/cpu/gemm/gemm.h"

namespace mlx::core::cpu {

// The patches of an image: pixel p reads (tap, channel) entries in the order of the phase's taps.
class Patches {
 public:
  // One output pixel: where the tap at offset zero would read.
  struct Pixel {
    const char* base;
    Triple at;
  };

  // Output pixels in order, from any one on.
  class Walk {
   public:
    Walk(const Patches& patches, int64_t first);
    Pixel next();

   private:
    Pixel current() const;

    const Patches& patches_;
    PixelPosition position_;
    Pixel pixel_;
  };

  // Entries that follow each other in memory, for pixels whose taps are all in the image.
  struct Piece {
    int64_t offset, bytes;
  };

  Patches(const Image& image, const Phase& phase);

  // The channels that a tap reads for a pixel, or null outside the image.
  const char* address(const Pixel& pixel, size_t tap) const;

  // The entries [begin, begin + count) as few pieces.
  std::vector<Piece> pieces(int64_t begin, int64_t count) const;

  // Copies these entries of one pixel to contiguous memory, which is written up to 64 bytes past
  // its end.
  void gather(const Pixel& pixel, int64_t begin, int64_t count, const std::vector<Piece>& pieces,
              char* to) const;

  const Image& image;
  const Phase& phase;

 private:
  void gather_by_tap(const Pixel& pixel, int64_t begin, int64_t count, char* to) const;
  bool can_overrun(const Pixel& pixel) const;

  std::vector<int64_t> tap_offsets_;  // in bytes
  Triple lowest_, highest_;           // of the taps
  const char* last_overrun_;          // the last pixel from which pieces may be read too far
};

// Rows of A: width runs over output pixels, depth over (tap, channel).
class PatchRows : public PanelSource {
 public:
  PatchRows(const Image& image, const Phase& phase) : patches_(image, phase) {}
  void pack(const GemmKernels& kernels, void* panel, int panel_width, int64_t begin, int count,
            int64_t depth_begin, int64_t depth) const override;

 private:
  Patches patches_;
};

// The transpose: width runs over (tap, channel), depth over output pixels.
class PatchColumns : public PanelSource {
 public:
  PatchColumns(const Image& image, const Phase& phase) : patches_(image, phase) {}
  void pack(const GemmKernels& kernels, void* panel, int panel_width, int64_t begin, int count,
            int64_t depth_begin, int64_t depth) const override;

 private:
  void fill_lines(const Tap& tap, int64_t channel, int64_t pixel, int64_t count,
                  const void** lines) const;
  void fill_run(const Tap& tap, const char* row, int64_t first, int64_t count,
                const void** lines) const;

  Patches patches_;
};

// A weight (o, kernel..., c) in any strides: width runs over o, depth over (tap, channel).
struct TapWeights : public PanelSource {
  const char* data = nullptr;
  int64_t out_stride = 0, channel_stride = 0;
  int64_t channels = 0;
  std::vector<int64_t> taps;  // offsets in elements

  void pack(const GemmKernels& kernels, void* panel, int panel_width, int64_t begin, int count,
            int64_t depth_begin, int64_t depth) const override;
};

}  // namespace mlx::core::cpu
