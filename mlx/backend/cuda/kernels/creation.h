// Kernels that make arrays from nothing: counting and random bits.
#pragma once

#include "mlx/backend/cuda/kernels/walk.h"
#include "mlx/kernels/random.h"

namespace mlx::core::kernels {

struct Counting {
  int64_t count;
  double start, step;  // for floats
  uint64_t first, by;  // for integers, which wrap
  void* out;
};

template <typename T>
MLX_FN void count_up(const Counting& p) {
  int64_t i = thread_number<int64_t>();
  if (i >= p.count) return;
  if constexpr (is_integer<T>) {
    store<T>(p.out, i, static_cast<T>(p.first + static_cast<uint64_t>(i) * p.by));
  } else {
    double value = p.start + static_cast<double>(i) * p.step;
    if constexpr (is_same<T, double>) {
      store<T>(p.out, i, value);
    } else if constexpr (is_complex<T>) {
      store<T>(p.out, i, T{static_cast<float>(value), 0.0f});
    } else {
      store<T>(p.out, i, rounded<T>(static_cast<float>(value)));
    }
  }
}

/** Each key fills `bytes` bytes: the counters (i, i + half) make the words i and i + half, and an
 *  odd last word of the lower half has the counter (i, 0). */
struct RandomBits {
  Operand keys;  // pairs of words
  int64_t key_count, bytes, half;
  void* out;
};

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
  const uint32_t* words = static_cast<const uint32_t*>(
      p.keys.data ? p.keys.data : static_cast<const void*>(&p.keys.value));
  int64_t count = (p.bytes + 3) / 4;
  bool paired = i < count - p.half;
  ThreefryWords pair = threefry2x32(words[2 * key], words[2 * key + 1], static_cast<uint32_t>(i),
                                    paired ? static_cast<uint32_t>(i + p.half) : 0u);
  char* out = static_cast<char*>(p.out) + key * p.bytes;
  store_word(out, p.bytes, i, pair.x0);
  if (paired) store_word(out, p.bytes, i + p.half, pair.x1);
}

}  // namespace mlx::core::kernels
