// Row kernels of Cast for every pair of dtypes.
#include "mlx/backend/cpu/elementwise_rows.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

template <typename To, typename From>
void cast_row(void* out, const void* a, const void*, const void*, int64_t n) {
  auto* o = static_cast<To*>(out);
  auto* x = static_cast<const From*>(a);
  _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i) o[i] = k::op::Cast::apply<To>(x[i]);
}

/** Anything wider than float goes through double with its inexactness kept in the last bit, so
 *  that the half result has been rounded once (64-bit integers past 2^53: twice). */
template <typename From>
float to_nearest_half_source(From x) {
  constexpr bool wide = sizeof(From) >= 4 && !k::is_same<k::RealOf<From>, float>;
  if constexpr (wide) {
    return k::round_to_odd(k::convert<double>(x));
  } else {
    return k::convert<float>(x);
  }
}

template <typename H, typename From>
void cast_to_half_row(void* out, const void* a, const void*, const void*, int64_t total) {
  alignas(64) float buffer[block];
  for (int64_t begin = 0; begin < total; begin += block) {
    int64_t n = total - begin < block ? total - begin : block;
    auto* x = static_cast<const From*>(a) + begin;
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i) buffer[i] = to_nearest_half_source(x[i]);
    narrow_row(static_cast<H*>(out) + begin, buffer, n);
  }
}

template <typename To, typename H>
void cast_from_half_row(void* out, const void* a, const void*, const void*, int64_t total) {
  alignas(64) float buffer[block];
  for (int64_t begin = 0; begin < total; begin += block) {
    int64_t n = total - begin < block ? total - begin : block;
    widen_row(buffer, static_cast<const H*>(a) + begin, n);
    cast_row<To, float>(static_cast<To*>(out) + begin, buffer, nullptr, nullptr, n);
  }
}

template <typename To, typename H>
void half_to_half_row(void* out, const void* a, const void*, const void*, int64_t total) {
  alignas(64) float buffer[block];
  for (int64_t begin = 0; begin < total; begin += block) {
    int64_t n = total - begin < block ? total - begin : block;
    widen_row(buffer, static_cast<const H*>(a) + begin, n);
    narrow_row(static_cast<To*>(out) + begin, buffer, n);
  }
}

template <int size>
void copy_row(void* out, const void* a, const void*, const void*, int64_t n) {
  if (out != a) __builtin_memcpy(out, a, static_cast<size_t>(n) * size);
}

template <typename T>
constexpr bool is_half = k::is_same<T, k::Half> || k::is_same<T, k::BFloat>;

template <typename To, typename From>
constexpr RowKernel cast_kernel_of() {
  if constexpr (k::is_same<To, From>) {
    return copy_row<sizeof(To)>;
  } else if constexpr (k::is_bool<From>) {
    return cast_kernel_of<To, uint8_t>();  // the same values, and g++ vectorises their loads
  } else if constexpr (is_half<To> && is_half<From>) {
    return half_to_half_row<To, From>;
  } else if constexpr (is_half<To>) {
    return cast_to_half_row<To, From>;
  } else if constexpr (is_half<From>) {
    return cast_from_half_row<To, From>;
  } else {
    return cast_row<To, From>;
  }
}

template <typename... Ts>
struct Types {
  template <typename From>
  static void add_from(CastKernels& table) {
    ((table.at[value_of<From>()][value_of<Ts>()] = cast_kernel_of<Ts, From>()), ...);
  }
  static CastKernels all_pairs() {
    CastKernels table{};
    (add_from<Ts>(table), ...);
    return table;
  }
};

}  // namespace

const CastKernels& elementwise_cast() {
  static const CastKernels table =
      Types<bool, uint8_t, uint16_t, uint32_t, uint64_t, int8_t, int16_t, int32_t, int64_t, k::Half,
            k::BFloat, float, double, k::Complex, k::WideComplex>::all_pairs();
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
