// Reads and writes of the rows under a mask: true elements are counted by blocks, the counts are
// summed, and then every block knows where its rows go, or come from.
#pragma once

#include "mlx/backend/cuda/kernels/lanes.h"
#include "mlx/backend/cuda/kernels/mask_call.h"

namespace mlx::core::kernels {

/** A bit for each byte of the word that is not 0. */
MLX_FN uint32_t byte_flags(uint32_t x) {
  uint32_t high = (((x & 0x7f7f7f7fu) + 0x7f7f7f7fu) | x) & 0x80808080u;
  return ((high >> 7) * 0x10204080u) >> 28;
}

/** A bit for each of the 16 elements of this thread that is true. */
MLX_FN uint32_t true_flags(const Mask& p, int64_t first) {
  const uint8_t* at = p.mask + first;
  if (first + 16 <= p.count && reinterpret_cast<uint64_t>(at) % 16 == 0) {
    uint4 words = *reinterpret_cast<const uint4*>(at);
    return byte_flags(words.x) | byte_flags(words.y) << 4 | byte_flags(words.z) << 8 |
           byte_flags(words.w) << 12;
  }
  uint32_t flags = 0;
  for (int i = 0; i < 16 && first + i < p.count; i++) {
    flags |= static_cast<uint32_t>(at[i] != 0) << i;
  }
  return flags;
}

MLX_FN int64_t first_of_block() { return static_cast<int64_t>(blockIdx.x) * mask_block; }

/** offsets[block] = its number of true elements. */
MLX_FN void count_true(const Mask& p) {
  __shared__ uint32_t shared[8];
  auto mine = static_cast<uint32_t>(
      __popc(true_flags(p, first_of_block() + static_cast<int64_t>(threadIdx.x) * 16)));
  uint32_t before = sum_before_thread(mine, shared);
  if (threadIdx.x == mask_threads - 1) p.offsets[blockIdx.x] = before + mine;
}

/** From numbers to sums of the numbers before, in one block of threads that each take eight. */
MLX_FN void sum_counts(const Mask& p) {
  constexpr int each = 8;
  __shared__ uint32_t shared[8];
  __shared__ uint32_t all;
  int64_t sum = 0;
  for (int64_t start = 0; start < p.blocks; start += mask_threads * each) {
    int64_t first = start + static_cast<int64_t>(threadIdx.x) * each;
    uint32_t numbers[each], mine = 0;
#pragma unroll
    for (int i = 0; i < each; i++) {
      numbers[i] = first + i < p.blocks ? static_cast<uint32_t>(p.offsets[first + i]) : 0;
      mine += numbers[i];
    }
    uint32_t before = sum_before_thread(mine, shared);
    if (threadIdx.x == mask_threads - 1) all = before + mine;
    int64_t at = sum + before;
#pragma unroll
    for (int i = 0; i < each; i++) {
      if (first + i < p.blocks) p.offsets[first + i] = at;
      at += numbers[i];
    }
    __syncthreads();
    sum += all;
  }
  if (threadIdx.x == 0) p.offsets[p.blocks] = sum;
}

/** A part of the words of a block's rows: blocks along y share them. */
struct WordRange {
  int64_t begin, end;
};
MLX_FN WordRange words_of_part(int64_t rows, int64_t row) {
  int64_t words = rows * row, part = blockIdx.y, parts = gridDim.y;
  return {words * part / parts, words * (part + 1) / parts};
}

/** The row that a word is in, counted from the first of the block. */
template <bool single>
MLX_FN int64_t row_of(const Mask& p, int64_t word) {
  return single ? word : word / p.row;
}

/** Rows under true elements, one behind the other. A thread holds four words before it stores any,
 *  so that their reads overlap. */
template <typename Word, bool single>
MLX_FN void select_rows(const Mask& p) {
  __shared__ uint32_t shared[8];
  __shared__ uint16_t chosen[mask_block];
  __shared__ uint32_t found;
  uint32_t place = threadIdx.x * 16;
  uint32_t flags = true_flags(p, first_of_block() + place);
  uint32_t at = sum_before_thread(static_cast<uint32_t>(__popc(flags)), shared);
  for (; flags; flags &= flags - 1) {
    chosen[at++] = static_cast<uint16_t>(place + static_cast<uint32_t>(__ffs(flags)) - 1);
  }
  if (threadIdx.x == mask_threads - 1) found = at;
  __syncthreads();
  constexpr int each = 4;
  WordRange range = words_of_part(found, single ? 1 : p.row);
  const auto* in = static_cast<const Word*>(p.in);
  auto* out = static_cast<Word*>(p.out) + p.offsets[blockIdx.x] * p.row;
  for (int64_t i = range.begin + threadIdx.x; i < range.end; i += mask_threads * each) {
    Word held[each];
#pragma unroll
    for (int k = 0; k < each; k++) {
      int64_t word = i + k * mask_threads;
      if (word >= range.end) continue;
      int64_t row = row_of<single>(p, word);
      held[k] = in[(first_of_block() + chosen[row] - row) * p.row + word];
    }
#pragma unroll
    for (int k = 0; k < each; k++) {
      int64_t word = i + k * mask_threads;
      if (word < range.end) out[word] = held[k];
    }
  }
}

/** The array, with rows under true elements from the values in their order. Values that there are
 *  too few of are reported, and their rows stay. */
template <typename Word, bool single>
MLX_FN void scatter_rows(const Mask& p) {
  constexpr uint16_t none = 0xffff;
  __shared__ uint32_t shared[8];
  __shared__ uint16_t ranks[mask_block];
  uint32_t place = threadIdx.x * 16;
  uint32_t flags = true_flags(p, first_of_block() + place);
  uint32_t rank = sum_before_thread(static_cast<uint32_t>(__popc(flags)), shared);
  for (uint32_t i = 0; i < 16; i++) {
    ranks[place + i] = flags >> i & 1 ? static_cast<uint16_t>(rank++) : none;
  }
  __syncthreads();
  int64_t needed = p.offsets[p.blocks] * p.row;
  if (threadIdx.x == 0 && blockIdx.x == 0 && blockIdx.y == 0 && needed > p.given) {
    report(p.fault, FaultOp::masked_scatter, needed / p.row, 0, p.given / p.row);
  }
  int64_t left = p.count - first_of_block();
  WordRange range = words_of_part(left < mask_block ? left : mask_block, single ? 1 : p.row);
  const auto* in = static_cast<const Word*>(p.in) + first_of_block() * p.row;
  const auto* values = static_cast<const Word*>(p.values);
  auto* out = static_cast<Word*>(p.out) + first_of_block() * p.row;
  int64_t before = p.offsets[blockIdx.x];
  for (int64_t word = range.begin + threadIdx.x; word < range.end; word += mask_threads) {
    int64_t row = row_of<single>(p, word);
    int64_t from = (before + ranks[row] - row) * p.row + word;
    if (ranks[row] != none && from < p.given) {
      out[word] = values[from];
    } else if (in != out) {
      out[word] = in[word];
    }
  }
}

}  // namespace mlx::core::kernels
