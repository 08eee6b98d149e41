// Gathers and scatters. Every index is checked before anything is read or written by it: one
// outside its array is reported, and its element left alone.
#pragma once

#include "mlx/backend/cuda/kernels/fault.h"
#include "mlx/backend/cuda/kernels/walk.h"

namespace mlx::core::kernels {

/** Indices along one axis. `kind` is their type: its size in bytes, negative if signed. */
struct IndexSource {
  const void* data;
  int64_t kind, axis, extent, slice, stride;
};

MLX_FN int64_t load_index(const IndexSource& source, int64_t at) {
  switch (source.kind) {
    case 1:
      return static_cast<const uint8_t*>(source.data)[at];
    case 2:
      return static_cast<const uint16_t*>(source.data)[at];
    case 4:
      return static_cast<const uint32_t*>(source.data)[at];
    case -1:
      return static_cast<const int8_t*>(source.data)[at];
    case -2:
      return static_cast<const int16_t*>(source.data)[at];
    case -4:
      return static_cast<const int32_t*>(source.data)[at];
    case -8:
      return static_cast<const int64_t*>(source.data)[at];
    default: {
      int64_t x = static_cast<const int64_t*>(source.data)[at];
      return x < 0 ? INT64_MIN : x;  // past 2^63, where no array reaches
    }
  }
}

/** Adds the offset of the index at `at`; false, after a report, if it is outside. */
MLX_FN bool add_index(const IndexSource& source, int64_t at, int64_t& offset, Fault* fault,
                      FaultOp op) {
  int64_t given = load_index(source, at);
  int64_t index = given < 0 ? given + source.extent : given;
  if (index < 0 || index > source.extent - source.slice) {
    report(fault, op, given, source.axis, source.extent);
    return false;
  }
  offset += index * source.stride;
  return true;
}

/** Positions times slices: of a gather's output, or of a scatter's updates. */
template <int sources, int index_rank, int slice_rank>
struct Indexed {
  int64_t positions, slice_elements;
  const void* in;
  void* out;
  void* winners;
  Fault* fault;
  int64_t index_shape[index_rank], index_strides[sources][index_rank];
  int64_t position_strides[2][index_rank];                        // of the array, of updates
  int64_t slice_shape[slice_rank], slice_strides[2][slice_rank];  // of the array, of updates
  IndexSource source[sources];
};

/** Where element `i` lies in the array and in the updates; false if an index is outside. */
template <int sources, int index_rank, int slice_rank>
MLX_FN bool find_indexed(const Indexed<sources, index_rank, slice_rank>& p, int64_t i, FaultOp op,
                         int64_t& in_array, int64_t& in_updates) {
  int64_t position = i / p.slice_elements;
  int64_t at[sources], slice[2], base[2];
  find_places<int64_t>(position, p.index_shape, p.index_strides, at);
  find_places<int64_t>(i - position * p.slice_elements, p.slice_shape, p.slice_strides, slice);
  find_places<int64_t>(position, p.index_shape, p.position_strides, base);
  in_array = base[0] + slice[0];
  in_updates = base[1] + slice[1];
  bool inside = true;
#pragma unroll
  for (int k = 0; k < sources; k++) {
    inside = inside && add_index(p.source[k], at[k], in_array, p.fault, op);
  }
  return inside;
}

template <FaultOp op, typename Word, int sources, int index_rank, int slice_rank>
MLX_FN void gather(const Indexed<sources, index_rank, slice_rank>& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.positions * p.slice_elements) return;
  int64_t from, unused;
  if (find_indexed(p, i, op, from, unused)) {
    static_cast<Word*>(p.out)[i] = static_cast<const Word*>(p.in)[from];
  } else {
    static_cast<Word*>(p.out)[i] = Word{};
  }
}

/** Of several updates of one element the last one wins: the first step finds it, the second
 *  writes. */
template <FaultOp op, typename Word, bool claim, int sources, int index_rank, int slice_rank>
MLX_FN void scatter_replace(const Indexed<sources, index_rank, slice_rank>& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.positions * p.slice_elements) return;
  int64_t to, from;
  if (!find_indexed(p, i, op, to, from)) return;
  auto* winner = static_cast<uint32_t*>(p.winners) + to;
  auto number = static_cast<uint32_t>(i + 1);
  if constexpr (claim) {
    atomicMax(winner, number);
  } else if (*winner == number) {
    static_cast<Word*>(p.out)[to] = static_cast<const Word*>(p.in)[from];
  }
}

/** out[at] = Op(out[at], x), whatever other threads do to the element at the same time. */
template <typename Op, typename T>
MLX_FN void combine_atomically(void* out, int64_t at, T x) {
  if constexpr (is_same<Op, op::Add> && is_float<T>) {
    atomicAdd(static_cast<T*>(out) + at, x);
  } else if constexpr (sizeof(T) >= 4) {
    using Bits = choose_type<sizeof(T) == 8, unsigned long long, unsigned int>;
    auto* word = static_cast<Bits*>(out) + at;
    Bits seen = *word, expected;
    do {
      expected = seen;
      T next = run<Op, T>(__builtin_bit_cast(T, expected), x);
      seen = atomicCAS(word, expected, __builtin_bit_cast(Bits, next));
    } while (seen != expected);
  } else {
    // Small elements change within the 32-bit word that they share with their neighbours.
    auto address = reinterpret_cast<uint64_t>(static_cast<T*>(out) + at);
    auto* word = reinterpret_cast<unsigned int*>(address & ~uint64_t(3));
    unsigned int shift = static_cast<unsigned int>(address & 3) * 8;
    unsigned int mask = ((1u << (8 * sizeof(T))) - 1u) << shift;
    using Bits = choose_type<sizeof(T) == 2, uint16_t, uint8_t>;
    unsigned int seen = *word, expected;
    do {
      expected = seen;
      Bits bits = static_cast<Bits>((expected & mask) >> shift);
      T next = run<Op, T>(from_stored<T>(__builtin_bit_cast(Stored<T>, bits)), x);
      unsigned int stored = __builtin_bit_cast(Bits, static_cast<Stored<T>>(next));
      seen = atomicCAS(word, expected, (expected & ~mask) | (stored << shift));
    } while (seen != expected);
  }
}

template <FaultOp op, typename Op, typename T, int sources, int index_rank, int slice_rank>
MLX_FN void scatter_combine(const Indexed<sources, index_rank, slice_rank>& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.positions * p.slice_elements) return;
  int64_t to, from;
  if (!find_indexed(p, i, op, to, from)) return;
  combine_atomically<Op, T>(p.out, to, load<T>(p.in, from));
}

}  // namespace mlx::core::kernels
