// Scatters that take updates as they come, and those of few positions.
#pragma once

#include "mlx/backend/cuda/kernels/index.h"
#include "mlx/backend/cuda/kernels/order_sizes.h"

namespace mlx::core::kernels {

/** Of several updates of one element the last one wins: the first step finds it, the second
 *  writes. */
template <FaultOp op, typename Word, bool claim, int sources, int index_rank, int slice_rank>
MLX_FN void scatter_replace(const Indexed<sources, index_rank, slice_rank>& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.positions * p.slice_elements) return;
  int64_t to, from;
  if (!find_indexed(p, i, op, to, from)) return;
  auto* winner = static_cast<uint32_t*>(p.marks) + to;
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
  if constexpr (sizeof(T) >= 4) {
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

/** What sums and products of updates are kept in. */
template <typename T>
using UpdateSum = decltype(computed(T{}));

/** out[at] = Op(out[at], sum), rounded once; one thread alone has the element. */
template <typename Op, typename T>
MLX_FN void combine_alone(void* out, int64_t at, UpdateSum<T> sum) {
  store<T>(out, at, rounded<T>(Op::apply(computed(load<T>(out, at)), sum)));
}

/** Where the positions lie in the array (-1 outside it) and in the updates. */
struct FewPlaces {
  int64_t in_array[most_few], in_updates[most_few];
};

/** A thread for each element of the updates: the first of those for one element combines all. */
template <FaultOp op, typename Op, typename T, int sources, int index_rank, int slice_rank>
MLX_FN void scatter_few(const Indexed<sources, index_rank, slice_rank>& p) {
  __shared__ FewPlaces places;
  for (int64_t k = threadIdx.x; k < p.positions; k += blockDim.x) {
    bool inside =
        find_indexed(p, k * p.slice_elements, op, places.in_array[k], places.in_updates[k]);
    if (!inside) places.in_array[k] = -1;
  }
  __syncthreads();
  int64_t i = thread_number<int64_t>(), position = i / p.slice_elements;
  if (position >= p.positions) return;
  int64_t target = places.in_array[position], slice[2];
  if (target < 0) return;
  for (int64_t k = 0; k < position; k++) {
    if (places.in_array[k] == target) return;
  }
  find_places<int64_t>(i - position * p.slice_elements, p.slice_shape, p.slice_strides, slice);
  auto sum = computed(load<T>(p.in, places.in_updates[position] + slice[1]));
  for (int64_t k = position + 1; k < p.positions; k++) {
    if (places.in_array[k] == target) {
      sum = Op::apply(sum, computed(load<T>(p.in, places.in_updates[k] + slice[1])));
    }
  }
  combine_alone<Op, T>(p.out, target + slice[0], sum);
}

/** A key for each position: the number of what it updates, the greatest for a bad index. */
template <FaultOp op, typename Key, int sources, int index_rank, int slice_rank>
MLX_FN void scatter_keys(const Indexed<sources, index_rank, slice_rank>& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.positions) return;
  int64_t to, from;
  bool inside = find_indexed(p, i, op, to, from);
  static_cast<Key*>(p.marks)[i] =
      inside ? static_cast<Key>(to / p.unit) : static_cast<Key>(~Key(0));
}

}  // namespace mlx::core::kernels
