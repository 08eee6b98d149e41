// Convolution operands as the gemm engine packs them: image patches that are never written to
// memory as a matrix, and kernels tap by tap.
#pragma once

#include "mlx/backend/cpu/conv/geometry.h"
#include "mlx/backend/cpu/gemm/gemm.h"

namespace mlx::core::cpu {

// Rows of A: width runs over output pixels, depth over (tap, channel).
class PatchRows : public PanelSource {
 public:
  PatchRows(const Image& image, const Phase& phase);
  void pack(const GemmKernels& kernels, void* panel, int panel_width, int64_t begin, int count,
            int64_t depth_begin, int64_t depth) const override;

 private:
  struct Pixel;
  const char* address(const Pixel& pixel, size_t tap) const;
  void gather(const Pixel& pixel, char* to, int64_t depth_begin, int64_t depth) const;

  const Image& image_;
  const Phase& phase_;
  std::vector<int64_t> tap_offsets_;  // in bytes
  std::vector<bool> joined_;          // the next tap's channels follow in memory
};

// The transpose: width runs over (tap, channel), depth over output pixels.
class PatchColumns : public PanelSource {
 public:
  PatchColumns(const Image& image, const Phase& phase) : image_(image), phase_(phase) {}
  void pack(const GemmKernels& kernels, void* panel, int panel_width, int64_t begin, int count,
            int64_t depth_begin, int64_t depth) const override;

 private:
  void fill_lines(const Tap& tap, int64_t channel, int64_t pixel, int64_t count,
                  const void** lines) const;
  void fill_run(const Tap& tap, const char* row, int64_t first, int64_t count,
                const void** lines) const;

  const Image& image_;
  const Phase& phase_;
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
