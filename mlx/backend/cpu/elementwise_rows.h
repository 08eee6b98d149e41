// How a body becomes row kernels: the loops, the slow path for rare arguments, the passage of half
// types through float, and the tables filled by rule. Included by the *.isa.cpp files only.
#pragma once

#include "mlx/backend/cpu/elementwise.h"
#include "mlx/backend/cpu/half_rows.h"
#include "mlx/kernels/elementwise.h"

namespace mlx::core::cpu::MLX_ISA {
namespace {

namespace k = kernels;

template <typename T>
T make();  // for decltype only

// bool lies in memory as a byte; g++ vectorises loops over bytes, not over bool.
template <typename T>
using Stored = k::choose_type<k::is_bool<T>, uint8_t, T>;

template <typename T>
MLX_FN T loaded(Stored<T> x) {
  if constexpr (k::is_bool<T>) {
    return x != 0;
  } else {
    return x;
  }
}

/** Elements per block where a row is cut: for the slow path's test and for half buffers. */
constexpr int64_t block = 512;

// Loops say that iterations are independent, since in-place use would fail g++'s overlap test.
#define MLX_ROW_LOOP _Pragma("GCC ivdep") for (int64_t i = 0; i < n; ++i)

template <typename Op, typename T>
void unary_row(void* out, const void* a, const void*, const void*, int64_t n) {
  using R = decltype(Op::apply(make<T>()));
  auto* o = static_cast<Stored<R>*>(out);
  auto* x = static_cast<const Stored<T>*>(a);
  MLX_ROW_LOOP o[i] = Op::apply(loaded<T>(x[i]));
}

template <typename Op, typename T>
void binary_row(void* out, const void* a, const void* b, const void*, int64_t n) {
  using R = decltype(Op::apply(make<T>(), make<T>()));
  auto* o = static_cast<Stored<R>*>(out);
  auto* x = static_cast<const Stored<T>*>(a);
  auto* y = static_cast<const Stored<T>*>(b);
  MLX_ROW_LOOP o[i] = Op::apply(loaded<T>(x[i]), loaded<T>(y[i]));
}

/** Rows of ops with a Slow form: blocks in which no element needs it take the fast loop. */
template <typename Op>
void guarded_unary_row(void* out, const void* a, const void*, const void*, int64_t total) {
  using Slow = k::op::Slow<Op>;
  for (int64_t begin = 0; begin < total; begin += block) {
    int64_t n = total - begin < block ? total - begin : block;
    auto* o = static_cast<float*>(out) + begin;
    auto* x = static_cast<const float*>(a) + begin;
    uint32_t needed = 0;
    for (int64_t i = 0; i < n; ++i) needed |= Slow::needed(x[i]) ? 1u : 0u;
    if (needed == 0) {
      MLX_ROW_LOOP o[i] = Op::apply(x[i]);
    } else {
      MLX_ROW_LOOP o[i] = Slow::apply(x[i]);
    }
  }
}

template <typename Op>
void guarded_binary_row(void* out, const void* a, const void* b, const void*, int64_t total) {
  using Slow = k::op::Slow<Op>;
  for (int64_t begin = 0; begin < total; begin += block) {
    int64_t n = total - begin < block ? total - begin : block;
    auto* o = static_cast<float*>(out) + begin;
    auto* x = static_cast<const float*>(a) + begin;
    auto* y = static_cast<const float*>(b) + begin;
    uint32_t needed = 0;
    for (int64_t i = 0; i < n; ++i) needed |= Slow::needed(x[i], y[i]) ? 1u : 0u;
    if (needed == 0) {
      MLX_ROW_LOOP o[i] = Op::apply(x[i], y[i]);
    } else {
      for (int64_t i = 0; i < n; ++i) {
        o[i] = Slow::needed(x[i], y[i]) ? Slow::apply(x[i], y[i]) : Op::apply(x[i], y[i]);
      }
    }
  }
}

/** Power: blocks with simple exponents only take the loop without logarithms. */
template <typename T>
void power_row(void* out, const void* a, const void* b, const void*, int64_t total) {
  using Power = k::op::Power;
  for (int64_t begin = 0; begin < total; begin += block) {
    int64_t n = total - begin < block ? total - begin : block;
    auto* o = static_cast<T*>(out) + begin;
    auto* x = static_cast<const T*>(a) + begin;
    auto* y = static_cast<const T*>(b) + begin;
    uint32_t others = 0;
    for (int64_t i = 0; i < n; ++i) others |= Power::is_simple(y[i]) ? 0u : 1u;
    if (others == 0) {
      MLX_ROW_LOOP o[i] = Power::apply_simple(x[i], y[i]);
    } else {
      MLX_ROW_LOOP o[i] = Power::apply(x[i], y[i]);
    }
  }
}

#undef MLX_ROW_LOOP

/** A half kernel out of the float one: widen a block, run, round. R is the result's storage. */
template <typename H, typename R, int arity, RowKernel f>
void half_row(void* out, const void* a, const void* b, const void*, int64_t total) {
  alignas(64) float x[block], y[block];
  for (int64_t begin = 0; begin < total; begin += block) {
    int64_t n = total - begin < block ? total - begin : block;
    widen_row(x, static_cast<const H*>(a) + begin, n);
    if constexpr (arity == 2) widen_row(y, static_cast<const H*>(b) + begin, n);
    if constexpr (k::is_same<R, H>) {
      f(x, x, y, nullptr, n);
      narrow_row(static_cast<H*>(out) + begin, x, n);
    } else {
      f(static_cast<R*>(out) + begin, x, y, nullptr, n);
    }
  }
}

// ---- filling a table

template <typename T>
constexpr int value_of();
#define MLX_VALUE_OF(T, name)                  \
  template <>                                  \
  constexpr int value_of<T>() {                \
    return static_cast<int>(Dtype::Val::name); \
  }
MLX_VALUE_OF(bool, bool_)
MLX_VALUE_OF(uint8_t, uint8)
MLX_VALUE_OF(uint16_t, uint16)
MLX_VALUE_OF(uint32_t, uint32)
MLX_VALUE_OF(uint64_t, uint64)
MLX_VALUE_OF(int8_t, int8)
MLX_VALUE_OF(int16_t, int16)
MLX_VALUE_OF(int32_t, int32)
MLX_VALUE_OF(int64_t, int64)
MLX_VALUE_OF(k::Half, float16)
MLX_VALUE_OF(float, float32)
MLX_VALUE_OF(double, float64)
MLX_VALUE_OF(k::BFloat, bfloat16)
MLX_VALUE_OF(k::Complex, complex64)
MLX_VALUE_OF(k::WideComplex, complex128)
#undef MLX_VALUE_OF

/** elementwise_accepts at compile time, for the types that bodies compute in. */
template <typename T>
constexpr bool accepts(DtypeRule rule) {
  switch (rule) {
    case DtypeRule::Same:
    case DtypeRule::Magnitude:
    case DtypeRule::Predicate:
      return true;
    case DtypeRule::NoBool:
      return !k::is_bool<T>;
    case DtypeRule::Real:
      return !k::is_complex<T>;
    case DtypeRule::Float:
      return !k::is_integer<T>;
    case DtypeRule::RealFloat:
      return k::is_float<T>;
    case DtypeRule::Bits:
      return k::is_integer<T>;
    case DtypeRule::Shift:
      return k::is_integer<T> && !k::is_bool<T>;
    default:
      return false;
  }
}

/** The direct kernel of a body for a compute type. */
template <typename Op, int arity, typename T>
constexpr RowKernel row_kernel() {
  if constexpr (k::is_same<T, float> && k::op::Slow<Op>::exists) {
    if constexpr (arity == 1) {
      return guarded_unary_row<Op>;
    } else {
      return guarded_binary_row<Op>;
    }
  } else if constexpr (k::is_same<Op, k::op::Power> && !k::is_bool<T> && !k::is_complex<T>) {
    return power_row<T>;
  } else if constexpr (arity == 1) {
    return unary_row<Op, T>;
  } else {
    return binary_row<Op, T>;
  }
}

/** Enters the kernels of the listed compute types that the rule accepts. */
template <typename Op, DtypeRule rule, int arity, typename... Ts>
void add_direct(RowKernel* row) {
  auto add = [row]<typename T>(T*) {
    if constexpr (accepts<T>(rule)) row[value_of<T>()] = row_kernel<Op, arity, T>();
  };
  (add(static_cast<Ts*>(nullptr)), ...);
}

/** Enters both half kernels; R is bool for predicates, else the half type itself. */
template <typename Op, int arity, bool predicate>
void add_halves(RowKernel* row) {
  constexpr RowKernel f = row_kernel<Op, arity, float>();
  row[value_of<k::Half>()] = half_row<k::Half, k::choose_type<predicate, bool, k::Half>, arity, f>;
  row[value_of<k::BFloat>()] =
      half_row<k::BFloat, k::choose_type<predicate, bool, k::BFloat>, arity, f>;
}

/** Offers every row of the table to Filler::add<Body, code, rule, arity>. */
template <typename Filler>
ElementwiseKernels fill_table() {
  ElementwiseKernels table{};
#define MLX_OFFER(Name, rule, arity)                                              \
  Filler::template add<k::op::Name, ElementwiseOp::Name, DtypeRule::rule, arity>( \
      table.at[static_cast<int>(ElementwiseOp::Name)]);
#define MLX_UNARY(Name, function, rule, flags) MLX_OFFER(Name, rule, 1)
#define MLX_BINARY(Name, function, rule, flags) MLX_OFFER(Name, rule, 2)
#define MLX_TERNARY(Name, function, rule, flags) MLX_OFFER(Name, rule, 3)
#include "mlx/optable/elementwise.def"
#undef MLX_OFFER
  return table;
}

}  // namespace
}  // namespace mlx::core::cpu::MLX_ISA
