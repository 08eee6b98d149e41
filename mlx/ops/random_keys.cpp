// Keys: from seeds, by splitting, and the sequence that serves calls without a key.
#include <atomic>
#include <chrono>

#include "mlx/core/errors.h"
#include "mlx/kernels/random.h"
#include "mlx/ops.h"
#include "mlx/primitives/random.h"
#include "mlx/random.h"

namespace mlx::core::random {

namespace {

/** Milliseconds since 1970; threads after the first one get a stretch of their own. */
uint64_t time_seed() {
  static std::atomic<uint64_t> threads{0};
  auto now = std::chrono::system_clock::now().time_since_epoch();
  uint64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  return ms + (threads++ << 42);
}

void check_key(const array& key, const char* op) {
  check(key.dtype() == uint32, op, "Expected key type uint32 but received ", key.dtype(), ".");
  check(key.shape() == Shape{2}, op, "Expected key shape (2) but received ", key.shape(), ".");
}

}  // namespace

KeySequence::KeySequence(uint64_t seed) : key_(key(seed)) {}

void KeySequence::seed(uint64_t seed) { key_ = key(seed); }

void KeySequence::set_state(array key) {
  check_key(key, "set_state");
  key_ = std::move(key);
}

KeySequence& KeySequence::default_() {
  static thread_local KeySequence sequence(time_seed());
  return sequence;
}

array KeySequence::next() {
  if (key_.is_tracer() || !key_.is_available()) {
    auto [first, second] = random::split(key_);
    key_ = first;
    return second;
  }
  // The same split at once: two counters are cheaper than the nodes that would compute them.
  const auto* k = key_.data<uint32_t>();
  uint32_t k0 = k[0], k1 = k[key_.strides(0)];
  auto even = kernels::threefry2x32(k0, k1, 0, 2);
  auto odd = kernels::threefry2x32(k0, k1, 1, 3);
  key_ = array({even.x0, odd.x0}, uint32);
  return array({even.x1, odd.x1}, uint32);
}

array key(uint64_t seed) {
  return array({static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(seed)}, uint32);
}

void seed(uint64_t seed) { KeySequence::default_().seed(seed); }

array bits(const Shape& shape, int width, const std::optional<array>& key, StreamOrDevice s) {
  check(width == 1 || width == 2 || width == 4, "bits", "Bit width must be 1, 2 or 4 bytes, not ",
        width, ".");
  for (auto extent : shape) {
    check(extent >= 0, "bits", "Negative dimensions not allowed: ", shape, ".");
  }
  num_elements(shape);
  array k = key ? *key : KeySequence::default_().next();
  check_key(k, "bits");
  return array(shape, RandomBits::dtype_of(width),
               std::make_shared<RandomBits>(to_stream(s), shape, width), {k});
}

array bits(const Shape& shape, const std::optional<array>& key, StreamOrDevice s) {
  return bits(shape, 4, key, s);
}

array split(const array& key, int num, StreamOrDevice s) { return bits({num, 2}, 4, key, s); }

std::pair<array, array> split(const array& key, StreamOrDevice s) {
  array keys = random::split(key, 2, s);
  return {take(keys, 0, 0, s), take(keys, 1, 0, s)};
}

}  // namespace mlx::core::random
