// RandomBits on the CPU. Each key fills its part of the output with words: the counters (i, i +
// half) make the words i and i + half, and an odd last word of the lower half has the counter (i,
// 0).
#include <algorithm>
#include <cstring>

#include "mlx/backend/cpu/random.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"
#include "mlx/kernels/random.h"
#include "mlx/primitives/random.h"

namespace mlx::core::cpu {

namespace {

/** The words of one key, as bytes: the last word may be cut short. */
struct KeyOutput {
  uint32_t k0, k1;
  char* data;
  int64_t bytes;

  int64_t words() const { return (bytes + 3) / 4; }
  int64_t half() const { return (words() + 1) / 2; }

  void store(int64_t word, uint32_t value) const {
    std::memcpy(data + 4 * word, &value, std::min<int64_t>(4, bytes - 4 * word));
  }

  /** The pairs of words [begin, end) of the lower half. */
  void fill(int64_t begin, int64_t end) const {
    int64_t half = this->half();
    int64_t pairs_end = std::min(end, words() - half);
    bool whole_words = bytes % 4 == 0 && reinterpret_cast<uintptr_t>(data) % 4 == 0;
    if (whole_words && begin < pairs_end) {
      auto* out = reinterpret_cast<uint32_t*>(data);
      random_kernels().threefry(k0, k1, static_cast<uint32_t>(begin), static_cast<uint32_t>(half),
                                pairs_end - begin, out + begin, out + half + begin);
      begin = pairs_end;
    }
    for (int64_t i = begin; i < end; i++) {
      bool paired = i < words() - half;
      auto pair = kernels::threefry2x32(k0, k1, static_cast<uint32_t>(i),
                                        paired ? static_cast<uint32_t>(i + half) : 0u);
      store(i, pair.x0);
      if (paired) {
        store(i + half, pair.x1);
      }
    }
  }
};

void eval_random_bits(RandomBits&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const array& keys = inputs[0];
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) {
    return;
  }
  int64_t num_keys = static_cast<int64_t>(keys.size() / 2);
  int64_t bytes = static_cast<int64_t>(out.nbytes()) / num_keys;
  const auto* key_data = keys.data<uint32_t>();
  auto key_output = [&](int64_t k) {
    return KeyOutput{key_data[element_offset(2 * k, keys.shape(), keys.strides())],
                     key_data[element_offset(2 * k + 1, keys.shape(), keys.strides())],
                     out.data<char>() + k * bytes, bytes};
  };
  int64_t half = key_output(0).half();
  constexpr int64_t grain = 1 << 13;
  parallel_for(num_keys * half, grain, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      int64_t k = begin / half;
      int64_t stop = std::min(end, (k + 1) * half);
      key_output(k).fill(begin - k * half, stop - k * half);
      begin = stop;
    }
  });
}

const Register<RandomBits> random_bits(eval_random_bits);

}  // namespace

}  // namespace mlx::core::cpu
