// Random bits: filling memory with them, and making them where a program reads them.
#pragma once

#include "mlx/backend/cuda/kernels/random_call.h"
#include "mlx/backend/cuda/kernels/walk.h"
#include "mlx/kernels/random.h"

namespace mlx::core::kernels {

MLX_FN const uint32_t* key_words(const Operand& keys) {
  return static_cast<const uint32_t*>(keys.data ? keys.data
                                                : static_cast<const void*>(&keys.value));
}

MLX_FN void store_word(char* data, int64_t bytes, int64_t word, uint32_t value) {
  if (bytes % 4 == 0) {
    reinterpret_cast<uint32_t*>(data)[word] = value;
    return;
  }
  for (int64_t b = 4 * word; b < 4 * word + 4 && b < bytes; b++, value >>= 8) {
    data[b] = static_cast<char>(value);
  }
}

MLX_FN void fill_random(const RandomBits& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.key_count * p.half) return;
  int64_t key = i / p.half;
  i -= key * p.half;
  const uint32_t* words = key_words(p.keys);
  int64_t count = (p.bytes + 3) / 4;
  bool paired = i < count - p.half;
  ThreefryWords pair = threefry2x32(words[2 * key], words[2 * key + 1], static_cast<uint32_t>(i),
                                    paired ? static_cast<uint32_t>(i + p.half) : 0u);
  char* out = static_cast<char*>(p.out) + key * p.bytes;
  store_word(out, p.bytes, i, pair.x0);
  if (paired) store_word(out, p.bytes, i + p.half, pair.x1);
}

MLX_FN ThreefryWords stored_key(const Operand& key) {
  const uint32_t* words = key_words(key);
  return {words[0], words[1]};
}
MLX_FN ThreefryWords given_key(const Operand& key) {
  return {static_cast<uint32_t>(key.value), static_cast<uint32_t>(key.value >> 32)};
}

/** What one key makes of N neighbours in the lower half of `count` words and of their partners,
 *  which lie half of them further. Several neighbours all have partners. */
template <int N>
struct WordPacks {
  uint32_t at[2][N];
};

template <int N, typename Index>
MLX_FN WordPacks<N> make_words(ThreefryWords key, Index first, Index half, Index count) {
  WordPacks<N> packs;
#pragma unroll
  for (int k = 0; k < N; k++) {
    Index i = first + k, partner = i + half;
    bool paired = N > 1 || partner < count;
    ThreefryWords pair = threefry2x32(key.x0, key.x1, static_cast<uint32_t>(i),
                                      paired ? static_cast<uint32_t>(partner) : 0u);
    packs.at[0][k] = pair.x0;
    packs.at[1][k] = pair.x1;
  }
  return packs;
}

}  // namespace mlx::core::kernels
