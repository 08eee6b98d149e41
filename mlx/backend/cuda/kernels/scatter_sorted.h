// Combining updates that are sorted by what they update. A chunk of them combines neighbours of one
// key. Only it has the keys between its first and its last, so it writes those; its first and its
// last sum it leaves to the next round, which takes them for updates.
#pragma once

#include "mlx/backend/cuda/kernels/scatter.h"
#include "mlx/backend/cuda/kernels/scatter_sorted_call.h"

namespace mlx::core::kernels {

template <int index_rank, int slice_rank>
struct SortedUpdates : SortedUpdatesCall {
  int64_t index_shape[index_rank], index_strides[1][index_rank];  // of positions, in the updates
  int64_t slice_shape[slice_rank], slice_strides[2][slice_rank];  // of the array, of updates
};

/** Neighbours of a slice that one thread combines. */
template <typename T, int width>
struct NeighbourSums {
  UpdateSum<T> at[width];
};

/** One chunk of the items, for `width` neighbours of their slices. */
template <typename Op, typename T, typename Key, bool first, int width, int index_rank,
          int slice_rank>
struct SortedChunk {
  using Sum = UpdateSum<T>;
  using Sums = NeighbourSums<T, width>;
  const SortedUpdates<index_rank, slice_rank>& p;
  int64_t chunk, element, begin, end;
  int64_t in_array, in_updates;  // where the first of them, the element, lies in its slice

  MLX_FN Key key(int64_t item) const {
    int64_t at = item;
    if constexpr (first) at = p.order[item];
    return static_cast<const Key*>(p.keys)[at];
  }
  MLX_FN Sums value(int64_t item) const {
    Sums sums;
    if constexpr (first) {
      int64_t place[1];
      find_places<int64_t>(p.order[item], p.index_shape, p.index_strides, place);
      auto pack = load_pack<T, width>(p.values, place[0] + in_updates);
#pragma unroll
      for (int j = 0; j < width; j++) sums.at[j] = computed(from_stored<T>(pack.at[j]));
    } else {
      auto pack = load_pack<Sum, width>(p.values, item * p.slice_elements + element);
#pragma unroll
      for (int j = 0; j < width; j++) sums.at[j] = from_stored<Sum>(pack.at[j]);
    }
    return sums;
  }
  MLX_FN static void add(Sums& sums, const Sums& more) {
#pragma unroll
    for (int j = 0; j < width; j++) sums.at[j] = Op::apply(sums.at[j], more.at[j]);
  }
  /** Rounds once; this thread alone has the elements. */
  MLX_FN void finish(Key key, const Sums& sums) const {
    if (key == static_cast<Key>(~Key(0))) return;
    int64_t at = static_cast<int64_t>(key) * p.unit + in_array;
    auto pack = load_pack<T, width>(p.out, at);
#pragma unroll
    for (int j = 0; j < width; j++) {
      T x = rounded<T>(Op::apply(computed(from_stored<T>(pack.at[j])), sums.at[j]));
      pack.at[j] = static_cast<Stored<T>>(x);
    }
    store_pack<T, width>(p.out, at, pack);
  }
  MLX_FN void leave(int64_t place, Key key, const Sums& sums) const {
    if (element == 0) static_cast<Key*>(p.left_keys)[place] = key;
    Pack<Sum, width> pack;
#pragma unroll
    for (int j = 0; j < width; j++) pack.at[j] = static_cast<Stored<Sum>>(sums.at[j]);
    store_pack<Sum, width>(p.left_sums, place * p.slice_elements + element, pack);
  }

  MLX_FN void run() const {
    constexpr int ahead = 8;  // items that are read at once
    bool alone = p.items <= p.chunk;
    // A chunk of one key leaves two sums too.
    bool cuts = !alone && key(begin) == key(end - 1);
    int64_t cut = cuts ? begin + (end - begin) / 2 : end, done = 0;
    Key now = key(begin);
    Sums sum = value(begin);
    for (int64_t item = begin + 1; item < end; item += ahead) {
      Key keys[ahead];
      Sums values[ahead];
#pragma unroll
      for (int k = 0; k < ahead; k++) {
        int64_t at = item + k < end ? item + k : end - 1;
        keys[k] = key(at);
        values[k] = value(at);
      }
#pragma unroll
      for (int k = 0; k < ahead; k++) {
        if (item + k >= end) continue;
        if (keys[k] == now && item + k != cut) {
          add(sum, values[k]);
          continue;
        }
        if (alone || done > 0) {
          finish(now, sum);
        } else {
          leave(2 * chunk, now, sum);
        }
        done++;
        now = keys[k];
        sum = values[k];
      }
    }
    if (alone) {
      finish(now, sum);
    } else {
      leave(2 * chunk + (done > 0), now, sum);
    }
  }
};

template <typename Op, typename T, typename Key, bool first, int width, int index_rank,
          int slice_rank>
MLX_FN void combine_sorted(const SortedUpdates<index_rank, slice_rank>& p) {
  int64_t i = thread_number<int64_t>() * width, chunk = i / p.slice_elements;
  int64_t begin = chunk * p.chunk, element = i - chunk * p.slice_elements, slice[2];
  if (begin >= p.items) return;
  find_places<int64_t>(element, p.slice_shape, p.slice_strides, slice);
  int64_t end = begin + p.chunk < p.items ? begin + p.chunk : p.items;
  SortedChunk<Op, T, Key, first, width, index_rank, slice_rank>{p,   chunk,    element, begin,
                                                                end, slice[0], slice[1]}
      .run();
}

}  // namespace mlx::core::kernels
