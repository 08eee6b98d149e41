// The micro kernel of all types, for every number of rows and up to four vectors of columns: the
// sums stay in registers over the whole depth. Included only by *.isa.cpp files.
#pragma once

#include <utility>

#include "mlx/backend/cpu/gemm/element.h"
#include "mlx/backend/cpu/gemm/kernels.h"

namespace mlx::core::cpu::MLX_ISA::simd {

constexpr int kStepsAhead = 8;        // of the depth, for which panels are asked for
constexpr int64_t kOutputSteps = 40;  // before the end of the depth the output is asked for

// One value of A times vectors of B. A row may have several of them at each step, with sums of
// their own, out of which a row of the tile is joined.
template <typename T>
struct PlainMath {
  using Packed = T;
  using Sum = T;
  static constexpr int parts = 1;
  static inline Vec<Packed> spread(Packed a) { return splat<T>(a); }
  static inline Vec<Sum> add_product(Vec<Packed> a, Vec<Packed> b, Vec<Sum> c) {
    return fma<T>(a, b, c);
  }
  static inline Vec<Sum> join(const Vec<Sum>& sum) { return sum; }
};

// Values of A out of a panel, where those of one step lie side by side.
template <typename Packed, int Values>
struct PackedRows {
  const Packed* a;

  Packed at(int i) const { return a[i]; }
  void next() { a += Values; }
  // Panels follow each other: past the end of one are lines of the next tile.
  void ask() const { __builtin_prefetch(a + 2 * kStepsAhead * Values); }
};

// Values of A where they lie.
template <typename Packed, int Rows, int Parts>
struct PlacedRows {
  const Packed* row[Rows];
  int64_t k = 0;

  Packed at(int i) const { return row[i / Parts][k + i % Parts]; }
  void next() { k += Parts; }
  void ask() const {}
};

// One step of the depth. Panels are read from the L2 cache for the most part, and its latency is
// hidden by asking for lines some steps ahead.
template <typename Math, int Values, int Vectors, typename Source>
[[gnu::always_inline]] static inline void add_step(
    Source& a, const typename Math::Packed*& b, Vec<typename Math::Sum> (&sums)[Values][Vectors]) {
  using Packed = typename Math::Packed;
  constexpr int lanes = kLanes<Packed>;
  Vec<Packed> columns[Vectors];
#pragma GCC unroll 4
  for (int v = 0; v < Vectors; ++v) {
    columns[v] = load(b + v * lanes);
    __builtin_prefetch(b + (kStepsAhead * Vectors + v) * lanes);
  }
#pragma GCC unroll 16
  for (int i = 0; i < Values; ++i) {
    Vec<Packed> value = Math::spread(a.at(i));
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      sums[i][v] = Math::add_product(value, columns[v], sums[i][v]);
    }
  }
  a.next();
  b += Vectors * lanes;
}

// A vector of a row of the tile.
template <typename Math, int Values, int Vectors>
[[gnu::always_inline]] static inline Vec<typename Math::Sum> row_of(
    const Vec<typename Math::Sum> (&sums)[Values][Vectors], int r, int v) {
  return [&]<int... Part>(std::integer_sequence<int, Part...>) {
    return Math::join(sums[r * Math::parts + Part][v]...);
  }
  (std::make_integer_sequence<int, Math::parts>{});
}

template <typename Math, int Rows, int Vectors, typename Source>
[[gnu::always_inline]] static inline void multiply_tile(int64_t steps, Source a,
                                                        const void* b_panel, void* c_tile,
                                                        int64_t ldc, bool accumulate) {
  using Packed = typename Math::Packed;
  using Sum = typename Math::Sum;
  constexpr int lanes = kLanes<Packed>, values = Rows * Math::parts;
  constexpr bool long_steps = values * sizeof(Packed) > 32;  // two of them fill more than a line
  auto b = static_cast<const Packed*>(b_panel);
  auto c = static_cast<Sum*>(c_tile);
  Vec<Sum> sums[values][Vectors] = {};
  ldc *= Math::parts;
  // The output is asked for late, so that it neither holds up panels, those of short depths above
  // all, nor is gone again when used.
  for (int64_t left = steps < kOutputSteps ? steps : kOutputSteps; steps > 0; left = 0) {
    for (; steps > left + 1; steps -= 2) {
      a.ask();
      add_step<Math, values, Vectors>(a, b, sums);
      if constexpr (long_steps) a.ask();
      add_step<Math, values, Vectors>(a, b, sums);
    }
    if (steps > left) {
      add_step<Math, values, Vectors>(a, b, sums);
      --steps;
    }
    if (steps == 0) break;
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) fetch_ahead(c + r * ldc + v * lanes);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      Sum* p = c + r * ldc + v * lanes;
      Vec<Sum> sum = row_of<Math>(sums, r, v);
      store<Sum>(p, accumulate ? load(p) + sum : sum);
    }
  }
}

template <typename Math, int Rows, int Vectors>
static void micro_kernel(int64_t steps, const void* a_panel, const void* b_panel, void* c_tile,
                         int64_t ldc, bool accumulate) {
  using Packed = typename Math::Packed;
  PackedRows<Packed, Rows* Math::parts> rows = {static_cast<const Packed*>(a_panel)};
  multiply_tile<Math, Rows, Vectors>(steps, rows, b_panel, c_tile, ldc, accumulate);
}

template <typename Math, int Rows, int Vectors>
static void placed_kernel(int64_t steps, const void* a, int64_t lda, const void* b_panel,
                          void* c_tile, int64_t ldc, bool accumulate) {
  using Packed = typename Math::Packed;
  PlacedRows<Packed, Rows, Math::parts> rows;
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    rows.row[r] = static_cast<const Packed*>(a) + r * lda * Math::parts;
  }
  multiply_tile<Math, Rows, Vectors>(steps, rows, b_panel, c_tile, ldc, accumulate);
}

template <typename Math, int Rows, int Vectors = 2>
struct MicroTable {
  MicroKernel kernels[Rows * Vectors];
};

template <typename Math, int Rows, int... I>
static constexpr MicroTable<Math, Rows, sizeof...(I) / Rows> make_micro_table(
    std::integer_sequence<int, I...>) {
  return {{micro_kernel<Math, I % Rows + 1, I / Rows + 1>...}};
}

template <typename Math, int Rows, int Vectors>
static constexpr auto micro_table =
    make_micro_table<Math, Rows>(std::make_integer_sequence<int, Rows * Vectors>{});

template <int Count>
struct PlacedTable {
  PlacedKernel kernels[Count];
};

template <typename Math, int Rows, int... I>
static constexpr PlacedTable<sizeof...(I)> make_placed_table(std::integer_sequence<int, I...>) {
  return {{placed_kernel<Math, I % Rows + 1, I / Rows + 1>...}};
}

template <typename Math, int Rows, int Vectors>
static constexpr auto placed_table =
    make_placed_table<Math, Rows>(std::make_integer_sequence<int, Rows * Vectors>{});

template <typename Math, int Rows, int Vectors, bool Placed>
static constexpr TileShape shape() {
  TileShape shape = {Rows, Vectors, micro_table<Math, Rows, Vectors>.kernels, nullptr};
  if constexpr (Placed) shape.placed = placed_table<Math, Rows, Vectors>.kernels;
  return shape;
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
