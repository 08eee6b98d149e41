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

/** One chunk of the items, for one element of their slices. */
template <typename Op, typename T, typename Key, bool first, int index_rank, int slice_rank>
struct SortedChunk {
  using Sum = UpdateSum<T>;
  const SortedUpdates<index_rank, slice_rank>& p;
  int64_t chunk, element, begin, end;
  int64_t in_array, in_updates;  // where the element lies in its slice

  MLX_FN Key key(int64_t item) const {
    int64_t at = item;
    if constexpr (first) at = p.order[item];
    return static_cast<const Key*>(p.keys)[at];
  }
  MLX_FN Sum value(int64_t item) const {
    if constexpr (first) {
      int64_t place[1];
      find_places<int64_t>(p.order[item], p.index_shape, p.index_strides, place);
      return computed(load<T>(p.values, place[0] + in_updates));
    } else {
      return static_cast<const Sum*>(p.values)[item * p.slice_elements + element];
    }
  }
  MLX_FN void finish(Key key, Sum sum) const {
    if (key == static_cast<Key>(~Key(0))) return;
    combine_alone<Op, T>(p.out, static_cast<int64_t>(key) * p.unit + in_array, sum);
  }
  MLX_FN void leave(int64_t place, Key key, Sum sum) const {
    if (element == 0) static_cast<Key*>(p.left_keys)[place] = key;
    static_cast<Sum*>(p.left_sums)[place * p.slice_elements + element] = sum;
  }

  MLX_FN void run() const {
    constexpr int ahead = 4;  // items that are read at once
    bool alone = p.items <= p.chunk;
    // A chunk of one key leaves two sums too.
    bool cuts = !alone && key(begin) == key(end - 1);
    int64_t cut = cuts ? begin + (end - begin) / 2 : end, done = 0;
    Key now = key(begin);
    Sum sum = value(begin);
    for (int64_t item = begin + 1; item < end; item += ahead) {
      Key keys[ahead];
      Sum values[ahead];
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
          sum = Op::apply(sum, values[k]);
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

template <typename Op, typename T, typename Key, bool first, int index_rank, int slice_rank>
MLX_FN void combine_sorted(const SortedUpdates<index_rank, slice_rank>& p) {
  int64_t i = thread_number<int64_t>(), chunk = i / p.slice_elements;
  int64_t begin = chunk * p.chunk, element = i - chunk * p.slice_elements, slice[2];
  if (begin >= p.items) return;
  find_places<int64_t>(element, p.slice_shape, p.slice_strides, slice);
  int64_t end = begin + p.chunk < p.items ? begin + p.chunk : p.items;
  SortedChunk<Op, T, Key, first, index_rank, slice_rank>{p,   chunk,    element, begin,
                                                         end, slice[0], slice[1]}
      .run();
}

}  // namespace mlx::core::kernels
