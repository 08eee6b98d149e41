// Conversion of values to keys and back.
#include "mlx/backend/cpu/sort_keys.h"

#include "mlx/kernels/base.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

using namespace kernels;

/** Bits of a float in sorted order: positive ones get the top bit, negative ones flip. */
template <typename U, U exponent, bool joins_zeros>
MLX_FN U order_of_bits(U bits) {
  constexpr U top = U(1) << (8 * sizeof(U) - 1);
  bool nan = static_cast<U>(bits & ~top) > exponent;
  U b = joins_zeros && bits == top ? U(0) : bits;
  U key = b & top ? static_cast<U>(~b) : static_cast<U>(b | top);
  return nan ? static_cast<U>(~U(0)) : key;
}

template <typename U>
MLX_FN U bits_of_order(U key) {
  constexpr U top = U(1) << (8 * sizeof(U) - 1);
  return key & top ? static_cast<U>(key ^ top) : static_cast<U>(~key);
}

struct Unsigned {
  template <bool, typename U>
  MLX_FN U key(U x) {
    return x;
  }
  template <typename U>
  MLX_FN U value(U x) {
    return x;
  }
};

struct Signed {
  template <bool, typename U>
  MLX_FN U key(U x) {
    return static_cast<U>(x ^ (U(1) << (8 * sizeof(U) - 1)));
  }
  template <typename U>
  MLX_FN U value(U x) {
    return key<false>(x);
  }
};

template <auto exponent>
struct Float {
  template <bool joins_zeros, typename U>
  MLX_FN U key(U x) {
    return order_of_bits<U, static_cast<U>(exponent), joins_zeros>(x);
  }
  template <typename U>
  MLX_FN U value(U x) {
    return bits_of_order(x);
  }
};

/** Real part above imaginary part. */
struct ComplexOrder {
  template <bool joins_zeros, typename U>
  MLX_FN U key(U x) {
    uint32_t re = order_of_bits<uint32_t, 0x7f800000u, joins_zeros>(static_cast<uint32_t>(x));
    uint32_t im = order_of_bits<uint32_t, 0x7f800000u, joins_zeros>(static_cast<uint32_t>(x >> 32));
    bool nan = re == ~0u || im == ~0u;
    return nan ? ~uint64_t(0) : uint64_t(re) << 32 | im;
  }
};

template <typename Order, bool joins_zeros, typename U, typename Key>
void to_keys(const void* in, void* out, int64_t n) {
  auto* __restrict from = static_cast<const U*>(in);
  auto* __restrict to = static_cast<Key*>(out);
  for (int64_t i = 0; i < n; i++) {
    to[i] = Order().template key<joins_zeros>(from[i]);
  }
}

template <typename Order, typename U>
void from_keys(const void* in, void* out, int64_t n) {
  auto* __restrict from = static_cast<const U*>(in);
  auto* __restrict to = static_cast<U*>(out);
  for (int64_t i = 0; i < n; i++) to[i] = Order().value(from[i]);
}

int64_t collect(const uint32_t* keys, int64_t n, uint32_t flip, uint32_t threshold, uint32_t first,
                uint64_t* out) {
  constexpr int64_t block = 64;
  int64_t count = 0;
  for (int64_t b = 0; b < n; b += block) {
    int64_t size = n - b < block ? n - b : block;
    uint32_t hits = 0;
    if (size == block) {
      for (int64_t i = 0; i < block; i++) hits |= (keys[b + i] ^ flip) > threshold;
    } else {
      hits = 1;
    }
    for (int64_t i = 0; hits && i < size; i++) {
      uint32_t key = keys[b + i] ^ flip;
      out[count] = uint64_t(key) << 32 | (first + static_cast<uint32_t>(b + i));
      count += key > threshold;
    }
  }
  return count;
}

template <typename Order, typename U>
constexpr void fill(SortKeyTable& table, Dtype dtype) {
  int row = static_cast<int>(dtype.val());
  table.to_keys[row] = to_keys<Order, false, U, U>;
  table.to_order[row] = to_keys<Order, true, U, U>;
  if constexpr (!is_same<Order, ComplexOrder>) table.from_keys[row] = from_keys<Order, U>;
  if constexpr (sizeof(U) <= 4) table.to_wide_order[row] = to_keys<Order, true, U, uint32_t>;
}

constexpr SortKeyTable make_table() {
  SortKeyTable table = {};
  fill<Unsigned, uint8_t>(table, bool_);
  fill<Unsigned, uint8_t>(table, uint8);
  fill<Unsigned, uint16_t>(table, uint16);
  fill<Unsigned, uint32_t>(table, uint32);
  fill<Unsigned, uint64_t>(table, uint64);
  fill<Signed, uint8_t>(table, int8);
  fill<Signed, uint16_t>(table, int16);
  fill<Signed, uint32_t>(table, int32);
  fill<Signed, uint64_t>(table, int64);
  fill<Float<0x7c00u>, uint16_t>(table, float16);
  fill<Float<0x7f80u>, uint16_t>(table, bfloat16);
  fill<Float<0x7f800000u>, uint32_t>(table, float32);
  fill<Float<0x7ff0000000000000ull>, uint64_t>(table, float64);
  fill<ComplexOrder, uint64_t>(table, complex64);
  table.collect = collect;
  return table;
}

}  // namespace

const SortKeyTable& sort_key_table() {
  static constexpr SortKeyTable table = make_table();
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
