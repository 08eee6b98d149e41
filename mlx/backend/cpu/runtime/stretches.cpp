#include "mlx/backend/cpu/runtime/stretches.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

/** Parts [begin, end) that nobody has taken, in one word. */
class alignas(64) Stretch {
 public:
  void fill(int64_t begin, int64_t end) { left_ = word(begin, end); }

  /** The first part; -1 if there is none. */
  int64_t take_first() {
    uint64_t left = left_.load(std::memory_order_relaxed);
    while (begin_of(left) < end_of(left)) {
      if (replace(left, begin_of(left) + 1, end_of(left))) return begin_of(left);
    }
    return -1;
  }

  /** The last part; -1 if there is none. */
  int64_t take_last() {
    uint64_t left = left_.load(std::memory_order_relaxed);
    while (begin_of(left) < end_of(left)) {
      if (replace(left, begin_of(left), end_of(left) - 1)) return end_of(left) - 1;
    }
    return -1;
  }

 private:
  static uint64_t word(int64_t begin, int64_t end) {
    return static_cast<uint64_t>(begin) << 32 | static_cast<uint64_t>(end);
  }
  static int64_t begin_of(uint64_t word) { return static_cast<int64_t>(word >> 32); }
  static int64_t end_of(uint64_t word) { return static_cast<int64_t>(word & 0xffffffff); }

  bool replace(uint64_t& old, int64_t begin, int64_t end) {
    return left_.compare_exchange_weak(old, word(begin, end), std::memory_order_relaxed);
  }

  std::atomic<uint64_t> left_{0};
};

}  // namespace

void parallel_stretches(int64_t parts, FunctionRef<void(int64_t part)> f) {
  int64_t count = std::min<int64_t>(num_threads(), parts);
  std::vector<Stretch> stretches(count);
  for (int64_t i = 0; i < count; ++i) {
    stretches[i].fill(i * parts / count, (i + 1) * parts / count);
  }
  parallel_for(count, 1, [&](int64_t first, int64_t end) {
    for (int64_t own = first; own < end; ++own) {
      for (int64_t part; (part = stretches[own].take_first()) >= 0;) f(part);
      for (int64_t i = 1; i < count; ++i) {
        Stretch& other = stretches[(own + i) % count];
        for (int64_t part; (part = other.take_last()) >= 0;) f(part);
      }
    }
  });
}

}  // namespace mlx::core::cpu
