// Waiting for a word of memory to change, as the kernel offers it: many may sleep on one word, and
// the one who changes it says how many to wake. Of a word of 64 bits these are the lower 32.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mlx::core {

/** Sleeps while the atomic word is `value`; may return early. */
inline void futex_wait(const void* word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

/** The same for so long at most. */
inline void futex_wait(const void* word, uint32_t value, std::chrono::nanoseconds time) {
  constexpr int64_t second = 1'000'000'000;
  timespec most{static_cast<time_t>(time.count() / second),
                static_cast<long>(time.count() % second)};
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &most, nullptr, 0);
}

/** Wakes at most `count` of those who sleep on the word. */
inline void futex_wake(const void* word, int count) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

}  // namespace mlx::core
