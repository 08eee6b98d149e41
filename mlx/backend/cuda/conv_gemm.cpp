// Which kernel convolves, how large its tiles are, and how the work is dealt out.
#include "mlx/backend/cuda/conv_gemm.h"

#include <algorithm>

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/jit.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/core/errors.h"

namespace mlx::core::cuda {

namespace {

using kernels::ConvPhase;

constexpr int64_t depthwise_lanes = 32;
constexpr unsigned depthwise_threads = 256;
constexpr int64_t depthwise_pixels = 4, depthwise_taps = 9;
constexpr int most_line_taps = 7;
constexpr unsigned sum_columns = 32, sum_rows = 32;
// Of the kernels for warpgroups.
constexpr int64_t warpgroup_pixels = 64, packed_rows = 64, packed_depth = 16;
constexpr int64_t packed_tile_bytes = 2 * packed_rows * packed_depth * 4;
constexpr unsigned warpgroup_threads = 128, pack_threads = 256;

struct Tile {
  int m, n, warp_m, warp_n, stages;

  unsigned threads() const { return static_cast<unsigned>(m / warp_m * (n / warp_n) * 32); }
  std::string name() const {
    std::string text = "TileShape<";
    for (int x : {m, n, warp_m, warp_n}) text += std::to_string(x) + ", ";
    return text + std::to_string(stages) + ">";
  }
};

Tile forward_tile(Dtype dtype, int64_t columns) {
  if (dtype == float64) {
    return {64, 64, 32, 32, 2};
  }
  return columns <= 8    ? Tile{128, 8, 32, 8, 4}
         : columns <= 32 ? Tile{64, 32, 32, 16, 4}
                         : Tile{64, 64, 32, 32, 4};
}

Tile weight_tile(Dtype dtype, int64_t columns) {
  if (dtype == float64) {
    return {64, 64, 32, 32, 2};
  }
  return columns <= 32 ? Tile{128, 32, 32, 32, 3} : Tile{64, 64, 32, 32, 4};
}

int64_t tiles(int64_t count, int64_t each) { return (count + each - 1) / each; }

int64_t depth_of(const ConvPhase& phase) {
  int64_t depth = phase.channels;
  for (const auto& axis : phase.axes) depth *= axis.taps;
  return depth;
}

/** Whether pixels come in groups that are neighbours along the last axis, and read neighbours by
 *  each of `taps` taps. */
bool has_lines(const ConvPhase& phase, int taps) {
  const auto& axis = phase.axes[2];
  return axis.taps == taps && axis.pixels % depthwise_pixels == 0 && axis.ratio == 1 &&
         axis.at_step == 1 && axis.tap_in == axis.in_stride;
}

/** The array itself where its channels lie side by side, else a contiguous copy. */
array with_neighbours(const array& a, const Stream& s) {
  return a.strides(-1) == 1 || a.shape(-1) == 1 ? a : contiguous(a, s);
}

/** A kernel, and how many blocks of which threads one part of the pixels takes. */
struct Launch {
  std::string function;
  int64_t blocks;
  dim3 block;
  unsigned most_threads;
};

class Run {
 public:
  Run(const ConvArrays& arrays, const ConvParams& params, void* weight, void* out, const Stream& s)
      : dtype_(arrays.in.dtype()),
        type_(type_name(dtype_)),
        depthwise_(params.groups > 1 && arrays.in.shape(-1) == params.groups),
        packs_weight_(packs_weight(arrays.in, arrays.out.shape(-1), params.groups, s)),
        stream_(s),
        outputs_(arrays.out.shape(-1)) {
    check(device_facts(s.device.index).major >= 8, OpScope::current(),
          "Convolutions on the GPU need compute capability 8.0 or higher; run it with "
          "stream=mx.cpu.");
    int sorts = depthwise_ ? 1 : params.groups;
    const void* in = input_address(arrays.in, s);
    wide_in_ = has_wide_channels(arrays.in, in, sorts);
    wide_weight_ = has_wide_channels(arrays.weight, weight, 1);
    wide_out_ = has_wide_channels(arrays.out, out, sorts);
    wide_lanes_ = wide_in_ && wide_out_ && outputs_ == params.groups;
    for (auto& [phase, weight_start] : conv_phases(arrays, params)) {
      phases_.push_back(phase);
      phases_.back().in = in;
      phases_.back().weight = static_cast<char*>(weight) +
                              weight_start * static_cast<int64_t>(arrays.weight.itemsize());
      phases_.back().out = out;
    }
  }

  void forward() {
    auto each = static_cast<size_t>(kernels::most_phases);
    for (size_t i = 0; i < phases_.size(); i += each) {
      size_t count = std::min(each, phases_.size() - i);
      int64_t pixels = 0;
      for (size_t j = i; j < i + count; j++) pixels = std::max(pixels, phases_[j].pixels);
      const ConvPhase& first = phases_[i];
      if (packs_weight_) {
        convolve_packed(&phases_[i], count, pixels);
        continue;
      }
      if (depthwise_) {
        convolve_depthwise(&phases_[i], count, pixels);
        continue;
      }
      Tile tile = forward_tile(dtype_, first.out_channels);
      int64_t columns = tiles(first.out_channels, tile.n);
      start(over_tiles("conv_gemm", tile, wide_in_ && wide_weight_,
                       tiles(pixels, tile.m) * columns * first.groups),
            &first, count);
    }
  }

  void weight_gradient() {
    for (auto& phase : phases_) {
      if (depth_of(phase) > 0) {
        add_up(phase, depth_of(phase));
      }
    }
  }

 private:
  void convolve_depthwise(const ConvPhase* phases, size_t count, int64_t pixels) const {
    int taps = phases[0].axes[2].taps;
    bool lines = taps > 1 && taps <= most_line_taps &&
                 std::all_of(phases, phases + count,
                             [&](const ConvPhase& phase) { return has_lines(phase, taps); });
    start(lines ? over_lanes("conv_depthwise_lines", 16, pixels, 1, taps)
                : over_lanes("conv_depthwise", 16, pixels, 1),
          phases, count);
  }

  void convolve_packed(ConvPhase* phases, size_t count, int64_t pixels) const {
    std::vector<int64_t> packed_tiles;
    int64_t total = 0, most = 0;
    for (size_t i = 0; i < count; i++) {
      packed_tiles.push_back(tiles(depth_of(phases[i]), packed_depth) *
                             tiles(phases[i].out_channels, packed_rows) * phases[i].groups);
      total += packed_tiles[i];
      most = std::max(most, packed_tiles[i]);
    }
    Scratch packed(static_cast<size_t>(total * packed_tile_bytes), stream_);
    auto* address = static_cast<char*>(packed.get());
    for (size_t i = 0; i < count; i++) {
      phases[i].packed = reinterpret_cast<float*>(address);
      address += packed_tiles[i] * packed_tile_bytes;
    }
    start({"pack_weight", most, pack_threads, pack_threads}, phases, count);
    int64_t rows = tiles(pixels, warpgroup_pixels) * phases[0].groups * static_cast<int64_t>(count);
    int64_t enough = 4 * device_facts(stream_.device.index).multiprocessors;
    bool several = phases[0].out_channels > packed_rows &&
                   rows * tiles(phases[0].out_channels, 2 * packed_rows) >= enough;
    int across = several ? 2 : 1, stages = several ? 2 : 3;
    std::string function = std::string("conv_warpgroup<") + (wide_in_ ? "true, " : "false, ") +
                           std::to_string(across) + ", " + std::to_string(stages) + ">";
    start({function,
           tiles(pixels, warpgroup_pixels) * phases[0].groups *
               tiles(phases[0].out_channels, packed_rows * across),
           warpgroup_threads, warpgroup_threads},
          phases, count);
  }

  void add_up(ConvPhase& phase, int64_t depth) {
    Launch parts = over_weight(phase, depth);
    split(phase, parts.blocks);
    parts.blocks *= phase.splits;
    size_t size = dtype_ == float64 ? sizeof(double) : sizeof(float);
    Scratch sums(
        phase.splits == 1 ? 0 : static_cast<size_t>(phase.splits * outputs_ * depth) * size,
        stream_);
    phase.partial = sums.get();
    start(parts, &phase, 1);
    if (phase.splits > 1) {
      unsigned shared_out =
          std::clamp<unsigned>(static_cast<unsigned>(phase.splits) / 4, 1, sum_rows);
      start({"sum_weight_parts<" + type_ + ">", tiles(outputs_ * depth, sum_columns),
             dim3(sum_columns, shared_out), sum_columns * sum_rows},
            &phase, 1);
    }
  }

  Launch over_weight(const ConvPhase& phase, int64_t depth) const {
    if (depthwise_) {
      return over_lanes("conv_depthwise_weight", 8, 1, tiles(depth, depthwise_taps));
    }
    Tile tile = weight_tile(dtype_, depth);
    return over_tiles("conv_weight", tile, wide_in_ && wide_out_,
                      tiles(phase.out_channels, tile.m) * tiles(depth, tile.n) * phase.groups);
  }

  /** For depthwise kernels: threads for so many bytes of channels each, as far as there are, and
   * for pixels. `taps`: a number that the kernel is made for, if it is not 0. */
  Launch over_lanes(const std::string& name, int64_t bytes, int64_t pixels, int64_t parts,
                    int taps = 0) const {
    int64_t width = wide_lanes_ ? bytes / static_cast<int64_t>(dtype_.size()) : 1, lanes = 1;
    while (lanes < depthwise_lanes && lanes * width < outputs_) lanes *= 2;
    int64_t rows = depthwise_threads / lanes;
    return {name + "<" + type_ + ", " + std::to_string(width) +
                (taps ? ", " + std::to_string(taps) : "") + ">",
            tiles(pixels, rows * depthwise_pixels) * tiles(outputs_, lanes * width) * parts,
            dim3(static_cast<unsigned>(lanes), static_cast<unsigned>(rows)), depthwise_threads};
  }
  Launch over_tiles(const std::string& name, const Tile& tile, bool wide, int64_t blocks) const {
    return {name + "<" + type_ + (wide ? ", true, " : ", false, ") + tile.name() + ">", blocks,
            tile.threads(), tile.threads()};
  }

  /** Cuts the pixels into parts where there are too few blocks to fill the device. */
  void split(ConvPhase& phase, int64_t blocks) const {
    int64_t wanted = (depthwise_ ? 8 : 4) * device_facts(stream_.device.index).multiprocessors;
    int64_t least = depthwise_ ? 32 : 128;
    int64_t splits = std::clamp<int64_t>(std::min(wanted / blocks, phase.pixels / least), 1, 1024);
    splits = std::max(splits, tiles(phase.pixels, int64_t{1} << 30));
    phase.split_pixels = tiles(tiles(phase.pixels, splits), 16) * 16;
    phase.splits = static_cast<int32_t>(tiles(phase.pixels, phase.split_pixels));
  }

  void start(const Launch& work, const ConvPhase* phases, size_t count) const {
    bool several = count > 1;
    Kernel kernel =
        kernel_of(work.function + (several ? " several" : ""), "convolve", stream_,
                  [&] { return conv_source(work.function, work.most_threads, several); });
    dim3 grid = blocks_for(work.blocks * static_cast<int64_t>(count), 1);
    kernels::ConvPhases<kernels::most_phases> arguments;
    std::copy(phases, phases + count, arguments.phases);
    arguments.count = static_cast<int32_t>(count);
    launch(kernel, grid, work.block, stream_, arguments);
  }

  Dtype dtype_;
  std::string type_;
  bool depthwise_, packs_weight_;
  Stream stream_;
  std::vector<ConvPhase> phases_;
  int64_t outputs_;
  bool wide_in_, wide_weight_, wide_out_, wide_lanes_;
};

}  // namespace

bool packs_weight(const array& in, int out_channels, int groups, const Stream& s) {
  bool depthwise = groups > 1 && in.shape(-1) == groups;
  return in.dtype() == float32 && device_facts(s.device.index).major == 9 && !depthwise &&
         out_channels / groups > packed_rows / 2;
}

std::string conv_source(const std::string& function, unsigned threads, bool several) {
  std::string most = several ? "most_phases" : "1";
  return "#include \"mlx/backend/cuda/kernels/conv_depthwise.h\"\n"
         "#include \"mlx/backend/cuda/kernels/conv_warpgroup.h\"\n"
         "using namespace mlx::core::kernels;\n"
         "extern \"C\" __global__ void __launch_bounds__(" +
         std::to_string(threads) + ") convolve(const __grid_constant__ ConvPhases<" + most +
         "> all) {\n  begin_kernel();\n  with_phase(all, [](const ConvPhase& p, BlockNumber block) "
         "{ " +
         function + "(p, block); });\n}\n";
}

void convolve(const array& in, const array& weight, array& out, const ConvParams& params,
              const Stream& s) {
  array x = with_neighbours(in, s);
  bool any_layout = packs_weight(x, out.shape(-1), params.groups, s);
  array w = any_layout ? weight : with_neighbours(weight, s);
  auto* address = const_cast<void*>(input_address(w, s));
  Run({x, w, out}, params, address, output_address(out), s).forward();
}

void convolve_weight(const array& in, const array& cotangent, array& out, const ConvParams& params,
                     const Stream& s) {
  array x = with_neighbours(in, s), y = with_neighbours(cotangent, s);
  auto* address = const_cast<void*>(input_address(y, s));
  Run({x, out, y}, params, output_address(out), address, s).weight_gradient();
}

}  // namespace mlx::core::cuda
