// Kernels of direct convolutions: sums stay in registers, patches are read where they lie in the
// stage.
#include <utility>

#include "mlx/backend/cpu/conv/direct_kernels.h"
#include "mlx/backend/cpu/gemm/element.h"
#include "mlx/backend/cpu/gemm/fold.h"

namespace mlx::core::cpu::MLX_ISA {

namespace simd {

constexpr int kRowsPerBase = 3;  // pixels that one address register reaches by index and scale
constexpr int kSteps = 4;        // entries of a segment per turn of the loop

template <typename Lane, int Rows, int Vectors, int Steps>
static inline void add_entries(const char* const* bases, int64_t step, const Lane* weights,
                               Vec<Lane> (&sums)[Rows][Vectors]) {
  constexpr int lanes = kLanes<Lane>;
#pragma GCC unroll 4
  for (int u = 0; u < Steps; ++u) {
    Vec<Lane> columns[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) columns[v] = load(weights + (u * Vectors + v) * lanes);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const char* from = bases[r / kRowsPerBase] + r % kRowsPerBase * step;
      Vec<Lane> entry = splat<Lane>(reinterpret_cast<const Lane*>(from)[u]);
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) sums[r][v] = fma<Lane>(entry, columns[v], sums[r][v]);
    }
  }
}

template <typename Lane, int Rows, int Vectors>
static void conv_tile(const ConvTile& tile) {
  constexpr int lanes = kLanes<Lane>, count = (Rows + kRowsPerBase - 1) / kRowsPerBase;
  auto weights = static_cast<const Lane*>(tile.weights);
  const int64_t step = tile.pixel_step * static_cast<int64_t>(sizeof(Lane));
  Lane* out = static_cast<Lane*>(tile.out);
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) __builtin_prefetch(out + r * tile.out_step + v * lanes, 1);
  }
  Vec<Lane> sums[Rows][Vectors] = {};
  for (int64_t s = 0; s < tile.segment_count; ++s) {
    const ConvSegment& segment = tile.segments[s];
    auto first =
        reinterpret_cast<const char*>(static_cast<const Lane*>(tile.input) + segment.offset);
    const char* bases[count];
#pragma GCC unroll 8
    for (int i = 0; i < count; ++i) {
      bases[i] = first + i * kRowsPerBase * step;
      asm("" : "+r"(bases[i]));  // else each row of the tile gets a register, and most are spilt
    }
    int64_t left = segment.length;
    for (; left >= kSteps; left -= kSteps) {
      add_entries<Lane, Rows, Vectors, kSteps>(bases, step, weights, sums);
      weights += kSteps * Vectors * lanes;
#pragma GCC unroll 8
      for (int i = 0; i < count; ++i) bases[i] += kSteps * sizeof(Lane);
    }
    for (; left > 0; --left) {
      add_entries<Lane, Rows, Vectors, 1>(bases, step, weights, sums);
      weights += Vectors * lanes;
#pragma GCC unroll 8
      for (int i = 0; i < count; ++i) bases[i] += sizeof(Lane);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      Lane* p = out + r * tile.out_step + v * lanes;
      store<Lane>(p, tile.accumulate ? load(p) + sums[r][v] : sums[r][v]);
    }
  }
}

template <typename Lane, int Rows, int Vectors>
static void conv_products(const ConvProducts& p) {
  constexpr int lanes = kLanes<Lane>;
  Lane* out = static_cast<Lane*>(p.sums);
  Vec<Lane> sums[Rows][Vectors];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) sums[r][v] = load(out + r * p.sums_step + v * lanes);
  }
  auto cotangent = static_cast<const Lane*>(p.cotangent);
  for (int64_t row = 0; row < p.rows; ++row) {
    const Lane* input = static_cast<const Lane*>(p.input) + row * p.row_step;
    for (int64_t i = 0; i < p.pixels; ++i) {
      Vec<Lane> columns[Vectors];
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) columns[v] = load(cotangent + v * lanes);
#pragma GCC unroll 16
      for (int r = 0; r < Rows; ++r) {
        Vec<Lane> entry = splat<Lane>(input[r]);
#pragma GCC unroll 2
        for (int v = 0; v < Vectors; ++v) sums[r][v] = fma<Lane>(entry, columns[v], sums[r][v]);
      }
      input += p.pixel_step;
      cotangent += Vectors * lanes;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) store<Lane>(out + r * p.sums_step + v * lanes, sums[r][v]);
  }
}

template <typename E, typename Source>
static void widen_row(const void* from, int64_t count, void* to) {
  using Lane = typename E::Lane;
  constexpr int lanes = kLanes<Lane>;
  auto source = static_cast<const Source*>(from);
  Lane* target = static_cast<Lane*>(to);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) store<Lane>(target + i, E::load(source + i));
  for (; i < count; ++i) target[i] = E::get(source + i);
}

template <typename Kernel, int Count>
struct KernelList {
  Kernel kernels[Count];
};

template <typename Lane, int... I>
static constexpr KernelList<void (*)(const ConvTile&), 2 * sizeof...(I)> list_tiles(
    std::integer_sequence<int, I...>) {
  return {{conv_tile<Lane, I + 1, 1>..., conv_tile<Lane, I + 1, 2>...}};
}

template <typename Lane, int... I>
static constexpr KernelList<void (*)(const ConvProducts&), 2 * sizeof...(I)> list_products(
    std::integer_sequence<int, I...>) {
  return {{conv_products<Lane, I + 1, 1>..., conv_products<Lane, I + 1, 2>...}};
}

using RowCounts = std::make_integer_sequence<int, kRegisterRows>;

template <typename Lane>
static constexpr auto tile_list = list_tiles<Lane>(RowCounts{});
template <typename Lane>
static constexpr auto product_list = list_products<Lane>(RowCounts{});

template <typename Source, typename Lane>
static constexpr DirectKernels direct_table() {
  return {kRegisterRows,
          kLanes<Lane>,
          sizeof(Lane),
          tile_list<Lane>.kernels,
          product_list<Lane>.kernels,
          widen_row<Element<Source, Lane>, Source>,
          fold_parts<Lane>};
}

}  // namespace simd

const DirectTables& direct_kernels() {
  using namespace simd;
  static constexpr DirectTables tables = {direct_table<float, float>(),
                                          direct_table<double, double>(),
                                          direct_table<F16, float>(), direct_table<Bf16, float>()};
  return tables;
}

}  // namespace mlx::core::cpu::MLX_ISA
