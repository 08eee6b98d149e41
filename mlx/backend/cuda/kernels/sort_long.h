// Sorting of long rows by their keys' bytes from the least significant one: one read and one write
// of everything per byte. A block takes a tile of a row, ranks it, and learns from the tiles before
// it where its items go; tiles are handed out in order, so that nobody waits for a block that has
// not started.
#pragma once

#include "mlx/backend/cuda/kernels/lanes.h"
#include "mlx/backend/cuda/kernels/order.h"
#include "mlx/backend/cuda/kernels/order_sizes.h"
#include "mlx/backend/cuda/kernels/sort_long_call.h"

namespace mlx::core::kernels {

constexpr int radix_warps = radix_threads / 32;

/** Counts the values of every byte of every key. */
template <typename T, bool joins_zeros>
MLX_FN void count_digits(const LongRows& p) {
  using Key = KeyOf<T>;
  __shared__ uint32_t counts[sizeof(Key)][digits];
  for (uint32_t i = threadIdx.x; i < sizeof(Key) * digits; i += radix_threads) {
    counts[i / digits][i % digits] = 0;
  }
  __syncthreads();
  int64_t blocks = (p.tiles + count_tiles - 1) / count_tiles;
  int64_t row = blockIdx.x / blocks;
  int64_t begin = blockIdx.x % blocks * (count_tiles * radix_tile);
  int64_t end =
      begin + count_tiles * radix_tile < p.length ? begin + count_tiles * radix_tile : p.length;
  const Key* in = static_cast<const Key*>(p.in) + row * p.length;
#pragma unroll 8
  for (int64_t i = begin + threadIdx.x; i < end; i += radix_threads) {
    Key key = load_key<T, joins_zeros>(in, i);
#pragma unroll
    for (int b = 0; b < static_cast<int>(sizeof(Key)); b++) {
      atomicAdd(&counts[b][key >> 8 * b & 255], 1u);
    }
  }
  __syncthreads();
  uint32_t* total = p.counts + row * static_cast<int64_t>(sizeof(Key) * digits);
  for (uint32_t i = threadIdx.x; i < sizeof(Key) * digits; i += radix_threads) {
    uint32_t count = counts[i / digits][i % digits];
    if (count > 0) atomicAdd(total + i, count);
  }
}

/** The lanes of the warp with the same digit as this one. */
MLX_FN uint32_t lanes_alike(uint32_t digit) {
  uint32_t alike = ~0u;
#pragma unroll
  for (int bit = 0; bit < 8; bit++) {
    uint32_t set = 0u - (digit >> bit & 1);
    alike &= ~(__ballot_sync(~0u, set != 0) ^ set);
  }
  return alike;
}

/** How many items of a digit the tiles of a row have, as they tell each other: a word per tile,
 *  whose upper two bits say what it holds. */
template <typename Word>
struct TileCounts {
  static constexpr int flag_bit = 8 * sizeof(Word) - 2;
  static constexpr Word own = Word(1) << flag_bit;    // the tile's number
  static constexpr Word whole = Word(2) << flag_bit;  // that of all tiles up to it
  Word* words;
  int64_t tile;

  MLX_FN Word* at(int64_t other) const { return words + other * digits; }
  MLX_FN void announce(uint32_t count) const {
    publish(at(tile), (tile == 0 ? whole : own) | count);
  }
  /** The number in the tiles before this one, which has `count`. */
  MLX_FN uint32_t before(uint32_t count) const {
    if (tile == 0) return 0;
    constexpr int depth = 4;  // words that are asked for at once
    Word sum = 0;
    bool done = false;
    for (int64_t back = tile - 1; !done; back -= depth) {
      Word found[depth];
#pragma unroll
      for (int i = 0; i < depth; i++) found[i] = back >= i ? peek(at(back - i)) : whole;
#pragma unroll
      for (int i = 0; i < depth; i++) {
        if (done) continue;
        while (found[i] >> flag_bit == 0) found[i] = peek(at(back - i));
        sum += found[i] & (own - 1);
        done = found[i] >> flag_bit == 2;
      }
    }
    publish(at(tile), whole | (sum + count));
    return static_cast<uint32_t>(sum);
  }
};

/** Shared memory of a tile's sort. */
template <typename Key>
struct TileMemory {
  uint32_t counts[radix_warps][digits];  // the warps' items of each digit, then where they go
  uint32_t bases[digits];                // what leads from a place in the tile to one in the row
  uint32_t sums[radix_warps], ticket;
  union {
    Key keys[radix_tile];
    uint32_t positions[radix_tile];
  } staged;
};

/** Where a thread's items are in a row: those of a warp lie together, and item k of all its lanes
 *  before item k + 1 of any. */
MLX_FN uint32_t item_place(int64_t begin, int k) {
  return static_cast<uint32_t>(begin) + threadIdx.x / 32 * (32 * tile_items) + 32 * k +
         threadIdx.x % 32;
}

/** The keys of a tile; past the end the greatest. */
template <typename T, bool joins_zeros>
MLX_FN void load_keys(const LongRows& p, int64_t start, int64_t begin,
                      KeyOf<T> (&keys)[tile_items]) {
  using Key = KeyOf<T>;
  auto* from = static_cast<const Key*>(p.from_values ? p.in : p.keys) + start;
#pragma unroll
  for (int k = 0; k < tile_items; k++) {
    uint32_t at = item_place(begin, k);
    bool real = at < static_cast<uint32_t>(p.length);
    keys[k] = real ? from[at] : static_cast<Key>(~Key(0));
    if (p.from_values && real) keys[k] = key_of<T, joins_zeros>(keys[k]);
  }
}

/** Where the warp's items go in the tile, from where its first item of each digit goes; this
 *  becomes the place behind the last one. */
template <typename DigitOf>
MLX_FN void place_items(DigitOf digit_of, uint32_t* firsts, uint32_t (&places)[tile_items]) {
  uint32_t lower = (1u << threadIdx.x % 32) - 1;
#pragma unroll
  for (int k = 0; k < tile_items; k++) {
    uint32_t digit = digit_of(k), alike = lanes_alike(digit), first = firsts[digit];
    __syncwarp();
    if ((alike & lower) == 0) firsts[digit] = first + __popc(alike);
    __syncwarp();
    places[k] = first + __popc(alike & lower);
  }
}

/** Writes the positions of a tile to their places in the row; in the last pass what they lead to.
 */
template <typename T, bool positions>
MLX_FN void move_positions(const LongRows& p, int64_t start, int64_t begin, uint32_t size,
                           const uint32_t (&from)[tile_items], const uint32_t (&to)[tile_items],
                           uint32_t* staged) {
  using Out = choose_type<positions, uint32_t, KeyOf<T>>;
  uint32_t own[tile_items];
#pragma unroll
  for (int k = 0; k < tile_items; k++) {
    own[k] = item_place(begin, k);
    if (!p.from_values && own[k] < static_cast<uint32_t>(p.length)) {
      own[k] = p.positions[start + own[k]];
    }
  }
  __syncthreads();
#pragma unroll
  for (int k = 0; k < tile_items; k++) staged[from[k]] = own[k];
  __syncthreads();
  uint32_t* next = p.next_positions + start;
  Out* out = static_cast<Out*>(p.out) + start;
  auto* in = static_cast<const KeyOf<T>*>(p.in) + start;
#pragma unroll
  for (int k = 0; k < tile_items; k++) {
    uint32_t i = threadIdx.x + k * radix_threads;
    if (i >= size) continue;
    if (!p.to_values) {
      next[to[k]] = staged[i];
    } else if constexpr (positions) {
      out[to[k]] = staged[i];
    } else {
      out[to[k]] = in[staged[i]];
    }
  }
}

/** One pass: sorts by the digit at hand what the passes before have sorted by the digits below. */
template <typename T, bool positions, typename Word>
MLX_FN void sort_digit(const LongRows& p) {
  constexpr bool tracked = positions || sorts_by_position<T>;
  using Key = KeyOf<T>;
  __shared__ TileMemory<Key> shared;
  if (threadIdx.x == 0) shared.ticket = atomicAdd(p.ticket, 1u);
  for (int w = 0; w < radix_warps; w++) shared.counts[w][threadIdx.x] = 0;
  __syncthreads();
  int64_t row = shared.ticket / p.tiles, tile = shared.ticket % p.tiles;
  int64_t start = row * p.length, begin = tile * radix_tile, rest = p.length - begin;
  int shift = static_cast<int>(8 * p.pass);
  uint32_t* counts = shared.counts[threadIdx.x / 32];
  Key keys[tile_items];
  uint32_t places[tile_items];
  load_keys<T, tracked>(p, start, begin, keys);
  auto digit_of = [&](int k) { return static_cast<uint32_t>(keys[k] >> shift) & (digits - 1); };
#pragma unroll
  for (int k = 0; k < tile_items; k++) atomicAdd(counts + digit_of(k), 1u);
  int64_t byte = row * static_cast<int64_t>(sizeof(Key)) + p.pass;
  uint32_t in_row = p.counts[byte * digits + threadIdx.x], count = 0;
  __syncthreads();
  // Here a thread stands for a digit. What it announces early others need not wait for.
  for (int w = 0; w < radix_warps; w++) count += shared.counts[w][threadIdx.x];
  TileCounts<Word> tiles{static_cast<Word*>(p.progress) + row * p.tiles * digits + threadIdx.x,
                         tile};
  tiles.announce(count);
  uint32_t in_tile = sum_before_thread(count, shared.sums), first = in_tile;
  for (int w = 0; w < radix_warps; w++) {
    uint32_t of_warp = shared.counts[w][threadIdx.x];
    shared.counts[w][threadIdx.x] = first;
    first += of_warp;
  }
  in_row = sum_before_thread(in_row, shared.sums);
  __syncthreads();
  place_items(digit_of, counts, places);
#pragma unroll
  for (int k = 0; k < tile_items; k++) shared.staged.keys[places[k]] = keys[k];
  shared.bases[threadIdx.x] = in_row + tiles.before(count) - in_tile;
  __syncthreads();
  auto size = static_cast<uint32_t>(rest < radix_tile ? rest : radix_tile);
  Key* next = static_cast<Key*>(p.to_values ? p.out : p.next_keys) + start;
  uint32_t to[tile_items];
#pragma unroll
  for (int k = 0; k < tile_items; k++) {
    uint32_t i = threadIdx.x + k * radix_threads;
    if (i >= size) continue;
    keys[k] = shared.staged.keys[i];
    to[k] = shared.bases[digit_of(k)] + i;
    if constexpr (!tracked) {
      next[to[k]] = p.to_values ? bits_of_key<T>(keys[k]) : keys[k];
    } else {
      if (!p.to_values) next[to[k]] = keys[k];
    }
  }
  if constexpr (tracked) {
    move_positions<T, positions>(p, start, begin, size, places, to, shared.staged.positions);
  }
}

}  // namespace mlx::core::kernels
