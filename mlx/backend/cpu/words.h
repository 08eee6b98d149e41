// Words: elements that are only moved, known by their size alone.
#pragma once

#include <cstdint>

namespace mlx::core::cpu {

/** 16 bytes, aligned as the halves of a complex number are. */
struct WideWord {
  uint64_t halves[2];
};

/** Calls f with a word of `size` bytes: 1, 2, 4, 8 or 16. */
template <typename F>
decltype(auto) dispatch_word(int64_t size, F&& f) {
  switch (size) {
    case 1:
      return f(uint8_t{});
    case 2:
      return f(uint16_t{});
    case 4:
      return f(uint32_t{});
    case 8:
      return f(uint64_t{});
    default:
      return f(WideWord{});
  }
}

}  // namespace mlx::core::cpu
