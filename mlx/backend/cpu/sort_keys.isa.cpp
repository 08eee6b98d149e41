// Conversion of values to keys and back.
#include "mlx/backend/cpu/sort_keys.h"

#include "mlx/kernels/order.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

using namespace kernels;

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

/** The order of complex128, in keys of 16 bytes. */
struct WideComplexOrder {
  template <bool joins_zeros>
  MLX_FN WideKey key(WideWord x) {
    uint64_t re = DoubleOrder().key<joins_zeros>(x.halves[0]);
    uint64_t im = DoubleOrder().key<joins_zeros>(x.halves[1]);
    bool nan = re == ~uint64_t(0) || im == ~uint64_t(0);
    return nan ? ~WideKey(0) : WideKey(re) << 64 | im;
  }
};

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
  fill<UnsignedOrder, uint8_t>(table, bool_);
  fill<UnsignedOrder, uint8_t>(table, uint8);
  fill<UnsignedOrder, uint16_t>(table, uint16);
  fill<UnsignedOrder, uint32_t>(table, uint32);
  fill<UnsignedOrder, uint64_t>(table, uint64);
  fill<SignedOrder, uint8_t>(table, int8);
  fill<SignedOrder, uint16_t>(table, int16);
  fill<SignedOrder, uint32_t>(table, int32);
  fill<SignedOrder, uint64_t>(table, int64);
  fill<HalfOrder, uint16_t>(table, float16);
  fill<BFloatOrder, uint16_t>(table, bfloat16);
  fill<SingleOrder, uint32_t>(table, float32);
  fill<DoubleOrder, uint64_t>(table, float64);
  fill<ComplexOrder, uint64_t>(table, complex64);
  int wide = static_cast<int>(complex128.val());
  table.to_keys[wide] = to_keys<WideComplexOrder, false, WideWord, WideKey>;
  table.to_order[wide] = to_keys<WideComplexOrder, true, WideWord, WideKey>;
  table.collect = collect;
  return table;
}

}  // namespace

const SortKeyTable& sort_key_table() {
  static constexpr SortKeyTable table = make_table();
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
