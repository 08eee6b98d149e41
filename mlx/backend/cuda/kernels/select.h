// Partition of long rows: the kth key is found by counting digits of 11 bits from the most
// significant one, among the keys that begin with the digits found so far; then one pass deals
// positions or values out to the smaller, the equal and the greater side, each in order.
#pragma once

#include "mlx/backend/cuda/kernels/lanes.h"
#include "mlx/backend/cuda/kernels/order.h"
#include "mlx/backend/cuda/kernels/order_sizes.h"
#include "mlx/backend/cuda/kernels/select_call.h"

namespace mlx::core::kernels {

/** What is known of the kth key: its first digits, and how many keys are less than or equal to it
 *  as far as these tell. */
constexpr int select_warps = select_threads / 32;

/** Finds the digit whose keys include the kth, of counts that are complete. */
MLX_FN void choose_digit(const Selection& p, int64_t row, int width, uint32_t* shared) {
  constexpr int each = select_digits / select_threads;
  const uint32_t* counts = p.counts + row * select_digits + threadIdx.x * each;
  Pivot pivot = p.pass > 0 ? p.pivots[row] : Pivot{0, 0, 0};
  uint32_t own[each], sum = 0;
#pragma unroll
  for (int i = 0; i < each; i++) sum += own[i] = peek(counts + i);
  uint32_t less = pivot.less + sum_before_thread(sum, shared);
  auto kth = static_cast<uint32_t>(p.kth);
  if (less > kth || less + sum <= kth) return;
#pragma unroll
  for (int i = 0; i < each; i++) {
    if (less <= kth && kth < less + own[i]) {
      p.pivots[row] = {pivot.prefix << width | (threadIdx.x * each + i), less, own[i]};
    }
    less += own[i];
  }
}

template <typename T>
MLX_FN void count_keys(const Selection& p) {
  using Key = KeyOf<T>;
  constexpr int bits = 8 * sizeof(Key);
  __shared__ uint32_t counts[select_digits], sums[select_warps];
  __shared__ bool last;
  for (int i = threadIdx.x; i < select_digits; i += select_threads) counts[i] = 0;
  __syncthreads();
  int above = bits - select_bits * static_cast<int>(p.pass);  // bits that are not known yet
  int width = above < select_bits ? above : select_bits, shift = above - width;
  int64_t row = blockIdx.x / p.tiles;
  int64_t begin = blockIdx.x % p.tiles * count_tile;
  int64_t end = begin + count_tile < p.length ? begin + count_tile : p.length;
  uint64_t prefix = p.pass > 0 ? p.pivots[row].prefix : 0;
  const Key* in = static_cast<const Key*>(p.in) + row * p.length;
#pragma unroll 8
  for (int64_t i = begin + threadIdx.x; i < end; i += select_threads) {
    uint64_t key = load_key<T, true>(in, i);
    bool candidate = p.pass == 0 || key >> above == prefix;
    if (candidate) atomicAdd(&counts[key >> shift & ((1u << width) - 1)], 1u);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < select_digits; i += select_threads) {
    if (counts[i] > 0) atomicAdd(p.counts + row * select_digits + i, counts[i]);
  }
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) last = atomicAdd(p.finished + row, 1u) + 1 == p.tiles;
  __syncthreads();
  if (last) {
    __threadfence();
    choose_digit(p, row, width, sums);
  }
}

/** Less and equal keys in a word: 31 bits each. The upper two say what the word counts: nothing
 *  yet, its tile, or everything up to and including its tile. */
constexpr uint64_t own_flag = uint64_t(1) << 62, whole_flag = uint64_t(2) << 62;

/** The counts of the tiles before this one, for a whole warp. */
MLX_FN uint64_t keys_before_tile(uint64_t* progress, int64_t tile, uint64_t count) {
  int lane = threadIdx.x % 32;
  if (lane == 0) publish(progress + tile, (tile == 0 ? whole_flag : own_flag) | count);
  uint64_t before = 0;
  for (int64_t end = tile; end > 0; end -= 32) {
    int64_t at = end - 1 - lane;
    uint64_t word = whole_flag;
    while (at >= 0 && (word = peek(progress + at)) >> 62 == 0) {
    }
    __syncwarp();
    uint32_t whole = __ballot_sync(~0u, word >> 62 == 2);
    int stop = whole ? __ffs(static_cast<int>(whole)) - 1 : 31;
    uint64_t sum = lane <= stop ? word & (own_flag - 1) : 0;
#pragma unroll
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
    before += sum;
    if (whole) break;
  }
  if (lane == 0 && tile > 0) publish(progress + tile, whole_flag | (before + count));
  return before;
}

template <typename T, bool positions>
MLX_FN void deal_out(const Selection& p) {
  using Key = KeyOf<T>;
  using Out = choose_type<positions, uint32_t, Key>;
  __shared__ uint64_t of_warps[select_warps], tile_before;
  __shared__ uint32_t ticket;
  if (threadIdx.x == 0) ticket = atomicAdd(p.ticket, 1u);
  __syncthreads();
  int64_t row = ticket / p.tiles, tile = ticket % p.tiles;
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int64_t first = tile * deal_tile + warp * (32 * deal_items) + lane;
  const Key* in = static_cast<const Key*>(p.in) + row * p.length;
  Pivot pivot = p.pivots[row];
  Key pivot_key = static_cast<Key>(pivot.prefix);
  Key values[deal_items];
  uint32_t less[deal_items], equal[deal_items];
  uint64_t count = 0;
#pragma unroll
  for (int k = 0; k < deal_items; k++) {
    bool real = first + 32 * k < p.length;
    values[k] = real ? in[first + 32 * k] : Key(0);
    Key key = key_of<T, true>(values[k]);
    less[k] = __ballot_sync(~0u, real && key < pivot_key);
    equal[k] = __ballot_sync(~0u, real && key == pivot_key);
    count += static_cast<uint64_t>(__popc(less[k])) << 31 | __popc(equal[k]);
  }
  if (lane == 0) of_warps[warp] = count;
  __syncthreads();
  if (warp == 0) {
    uint64_t total = 0;
    for (int w = 0; w < select_warps; w++) total += of_warps[w];
    uint64_t before = keys_before_tile(p.progress + row * p.tiles, tile, total);
    if (lane == 0) tile_before = before;
  }
  __syncthreads();
  uint64_t before = tile_before;
  for (int w = 0; w < warp; w++) before += of_warps[w];
  auto less_before = static_cast<uint32_t>(before >> 31);
  auto equal_before = static_cast<uint32_t>(before) & 0x7fffffffu;
  uint32_t lower = (1u << lane) - 1;
  Out* out = static_cast<Out*>(p.out) + row * p.length;
#pragma unroll
  for (int k = 0; k < deal_items; k++) {
    int64_t at = first + 32 * k;
    uint32_t less_here = less_before + __popc(less[k] & lower);
    uint32_t equal_here = equal_before + __popc(equal[k] & lower);
    uint32_t greater_here = static_cast<uint32_t>(at) - less_here - equal_here;
    less_before += __popc(less[k]);
    equal_before += __popc(equal[k]);
    if (at >= p.length) continue;
    uint32_t place = less[k] >> lane & 1    ? less_here
                     : equal[k] >> lane & 1 ? pivot.less + equal_here
                                            : pivot.less + pivot.equal + greater_here;
    if constexpr (positions) {
      out[place] = static_cast<uint32_t>(at);
    } else {
      out[place] = values[k];
    }
  }
}

}  // namespace mlx::core::kernels
