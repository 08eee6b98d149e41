// Keys: unsigned integers whose order is the total order of sorting, so that all dtypes of one size
// share one algorithm. NaN of any sign has the greatest key.
#pragma once

#include <cstdint>
#include <type_traits>

#include "mlx/backend/cpu/runtime/isa.h"
#include "mlx/backend/cpu/words.h"
#include "mlx/dtype.h"

namespace mlx::core::cpu {

/** The key of the given number of bytes. */
template <int size>
struct KeyOfSize;
template <>
struct KeyOfSize<1> {
  using type = uint8_t;
};
template <>
struct KeyOfSize<2> {
  using type = uint16_t;
};
template <>
struct KeyOfSize<4> {
  using type = uint32_t;
};
template <>
struct KeyOfSize<8> {
  using type = uint64_t;
};
__extension__ typedef unsigned __int128 WideKey;
template <>
struct KeyOfSize<16> {
  using type = WideKey;
};

/** Converts n values; keys have the size of the values, except for wide_keys: 4 bytes. */
using KeyConversion = void (*)(const void* in, void* out, int64_t n);

struct SortKeyTable {
  /** Keys that keep every bit pattern apart (but NaNs), for sorting values. */
  KeyConversion to_keys[Dtype::count];
  /** Back from such keys; not for complex numbers. */
  KeyConversion from_keys[Dtype::count];
  /** Keys in which -0 equals 0, for positions. */
  KeyConversion to_order[Dtype::count];
  /** The same as 4-byte keys, for dtypes of at most 4 bytes; else null. */
  KeyConversion to_wide_order[Dtype::count];
  /** Writes (key << 32 | first + i) for each key above the threshold; returns how many. `flip` is
   *  xored into each key first: ~0 looks for the smallest. */
  int64_t (*collect)(const uint32_t* keys, int64_t n, uint32_t flip, uint32_t threshold,
                     uint32_t first, uint64_t* out);
};

MLX_ISA_TABLE(SortKeyTable, sort_key_table)

/** Calls f with a value of the key type of `dtype`. */
template <typename F>
decltype(auto) dispatch_key(Dtype dtype, F&& f) {
  return dispatch_word(dtype.size(), [&](auto word) -> decltype(auto) {
    using Word = decltype(word);
    return f(std::conditional_t<std::is_same_v<Word, WideWord>, WideKey, Word>{});
  });
}

}  // namespace mlx::core::cpu
