// Packers: from memory in rows, lines or any strides into panels. Included only by *.isa.cpp files.
#pragma once

#include <array>
#include <utility>

#include "mlx/backend/cpu/gemm/element.h"

namespace mlx::core::cpu::MLX_ISA::simd {

template <int Bytes>
struct IndexOf {
  using type = int64_t;
};
template <>
struct IndexOf<4> {
  using type = int32_t;
};

// One stage of the transposition: swaps the blocks of `Distance` lanes that lie off the diagonal.
template <int Distance, typename T, int... J>
static inline void swap_blocks(Vec<T>& a, Vec<T>& b, std::integer_sequence<int, J...>) {
  using Index = Vec<typename IndexOf<sizeof(T)>::type>;
  constexpr int n = kLanes<T>;
  constexpr Index low = {((J & Distance) ? J - Distance + n : J)...};
  constexpr Index high = {((J & Distance) ? J + n : J + Distance)...};
  Vec<T> first = __builtin_shuffle(a, b, low);
  b = __builtin_shuffle(a, b, high);
  a = first;
}

template <typename T, int Distance = 1>
static inline void transpose(Vec<T> (&t)[kLanes<T>]) {
  if constexpr (Distance < kLanes<T>) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes<T>; ++i) {
      if (!(i & Distance)) {
        swap_blocks<Distance, T>(t[i], t[i + Distance],
                                 std::make_integer_sequence<int, kLanes<T>>{});
      }
    }
    transpose<T, 2 * Distance>(t);
  }
}

// Vectors of each row that are asked for ahead: rows are too many for what fetches streams by
// itself, and often so far apart that they meet in one set of the first cache.
constexpr int kRowsAhead = 8;

// One square of lanes x lanes: `here` rows from rows[], `steps` of the depth from k on.
template <typename E, typename Source>
static inline void pack_square(typename E::Lane* panel, int width, const void* const* rows,
                               int here, int64_t k, int steps) {
  using Lane = typename E::Lane;
  constexpr int lanes = kLanes<Lane>;
  Vec<Lane> t[lanes];
#pragma GCC unroll 16
  for (int i = 0; i < lanes; ++i) {
    if (i >= here) {
      t[i] = Vec<Lane>{};
    } else {
      const Source* p = static_cast<const Source*>(rows[i]) + k;
      fetch_ahead(p + kRowsAhead * lanes);
      t[i] = steps == lanes ? E::load(p) : load_some<E>(p, steps);
    }
  }
  transpose<Lane>(t);
  if (steps == lanes) {
#pragma GCC unroll 16
    for (int j = 0; j < lanes; ++j) store<Lane>(panel + (k + j) * width, t[j]);
  } else {
    for (int j = 0; j < steps; ++j) store<Lane>(panel + (k + j) * width, t[j]);
  }
}

template <typename E, typename Source>
static void pack_rows(void* panel, int width, const void* const* rows, int count, int64_t depth) {
  using Lane = typename E::Lane;
  constexpr int lanes = kLanes<Lane>;
  for (int64_t k = 0; k < depth; k += lanes) {
    int steps = depth - k < lanes ? static_cast<int>(depth - k) : lanes;
    // From the right, since the last square may write past the end of its steps.
    for (int w = (width - 1) / lanes * lanes; w >= 0; w -= lanes) {
      int here = count - w < lanes ? count - w : lanes;
      pack_square<E, Source>(static_cast<Lane*>(panel) + w, width, rows + w, here, k, steps);
    }
  }
}

template <typename E, typename Source>
static void pack_lines(void* panel, int width, const void* const* lines, int count, int64_t depth) {
  using Lane = typename E::Lane;
  constexpr int lanes = kLanes<Lane>;
  for (int64_t k = 0; k < depth; ++k) {
    auto line = static_cast<const Source*>(lines[k]);
    Lane* to = static_cast<Lane*>(panel) + k * width;
    for (int w = 0; w < width; w += lanes) {
      int here = count - w;
      Vec<Lane> v = {};
      if (here >= lanes) {
        v = E::load(line + w);
      } else if (here > 0) {
        v = load_some<E>(line + w, here);
      }
      store<Lane>(to + w, v);
    }
  }
}

constexpr int kEntriesTogether = 64;  // of a panel: so many lines are read through all panels

// One panel out of some lines, in vectors of which the last may reach into the next step.
template <typename E, int Vectors, typename Source>
static inline void pack_piece(typename E::Lane* to, int width, const Source* from, int64_t stride,
                              int depth) {
  using Lane = typename E::Lane;
  constexpr int lanes = kLanes<Lane>;
  constexpr int half = lanes / 2 * sizeof(Lane);
  const Source* ahead = from + depth * stride;
  for (int k = 0; k < depth; ++k, to += width, from += stride, ahead += stride) {
    if (Vectors == 1 && std::is_same_v<Source, Lane> && width <= lanes / 2) {
      __builtin_memcpy(to, from, half);
    } else {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) store<Lane>(to + v * lanes, E::load(from + v * lanes));
    }
    if (Vectors == 1) fetch_ahead(ahead);
  }
}

// The same where the last vector would read past the end of the lines.
template <typename E, typename Source>
static inline void pack_last_piece(typename E::Lane* to, int width, const Source* from,
                                   int64_t stride, int depth) {
  std::array<const void*, kEntriesTogether> lines;
  for (int k = 0; k < depth; ++k) lines[k] = from + k * stride;
  pack_lines<E, Source>(to, width, lines.data(), width, depth);
}

template <typename E, int Vectors, typename Source>
static void pack_pieces(void* panels, int width, int64_t panel_bytes, int64_t count,
                        const void* lines, int64_t stride, int64_t depth) {
  using Lane = typename E::Lane;
  int together = width < kEntriesTogether ? kEntriesTogether / width : 1;
  for (int64_t k = 0; k < depth; k += together) {
    int here = depth - k < together ? static_cast<int>(depth - k) : together;
    auto from = static_cast<const Source*>(lines) + k * stride;
    auto to = static_cast<char*>(panels) + k * width * static_cast<int64_t>(sizeof(Lane));
    for (int64_t p = 0; p < count; ++p, from += width, to += panel_bytes) {
      auto panel = reinterpret_cast<Lane*>(to);
      if ((count - p) * width >= Vectors * kLanes<Lane>) {
        pack_piece<E, Vectors>(panel, width, from, stride, here);
      } else {
        pack_last_piece<E>(panel, width, from, stride, here);
      }
    }
  }
}

template <typename E, typename Source>
static void pack_across(void* panels, int width, int64_t panel_bytes, int64_t count,
                        const void* lines, int64_t line_stride, int64_t depth) {
  constexpr int lanes = kLanes<typename E::Lane>;
  int vectors = (width + lanes - 1) / lanes;
  auto pack = vectors == 1   ? pack_pieces<E, 1, Source>
              : vectors == 2 ? pack_pieces<E, 2, Source>
              : vectors == 3 ? pack_pieces<E, 3, Source>
                             : pack_pieces<E, 4, Source>;
  pack(panels, width, panel_bytes, count, lines, line_stride, depth);
}

template <typename E, typename Source>
static void pack_strided(void* panel, int width, const void* source, int64_t width_stride,
                         int64_t depth_stride, int count, int64_t depth) {
  using Lane = typename E::Lane;
  for (int64_t k = 0; k < depth; ++k) {
    auto from = static_cast<const Source*>(source) + k * depth_stride;
    Lane* to = static_cast<Lane*>(panel) + k * width;
    for (int w = 0; w < count; ++w) to[w] = E::get(from + w * width_stride);
    for (int w = count; w < width; ++w) to[w] = 0;
  }
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
