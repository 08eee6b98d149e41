// Row kernels of slice updates and scatters, one build per instruction set.
#include "mlx/backend/cpu/combine.h"
#include "mlx/kernels/convert.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

using namespace mlx::core::kernels;

// Values in which a dtype is combined: floats for half types, wrapping words for integers.
template <typename T>
struct Stored {
  static T load(T x) { return x; }
  static T store(T x) { return x; }
};
template <>
struct Stored<Half> {
  static float load(Half x) { return to_float(x); }
  static Half store(float x) { return to_half(x); }
};
template <>
struct Stored<BFloat> {
  static float load(BFloat x) { return to_float(x); }
  static BFloat store(float x) { return to_bfloat(x); }
};

struct Replace {
  template <typename T>
  static T combine(T, T b) {
    return b;
  }
};
struct Sum {
  template <typename T>
  static T combine(T a, T b) {
    if constexpr (is_bool<T>) {
      return a || b;
    } else if constexpr (is_complex<T>) {
      return {a.re + b.re, a.im + b.im};
    } else if constexpr (is_integer<T>) {
      return static_cast<T>(static_cast<wrapping<T>>(a) + static_cast<wrapping<T>>(b));
    } else {
      return a + b;
    }
  }
};
struct Prod {
  template <typename T>
  static T combine(T a, T b) {
    if constexpr (is_bool<T>) {
      return a && b;
    } else if constexpr (is_complex<T>) {
      return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
    } else if constexpr (is_integer<T>) {
      return static_cast<T>(static_cast<wrapping<T>>(a) * static_cast<wrapping<T>>(b));
    } else {
      return a * b;
    }
  }
};

// NaN wins over every number; complex numbers compare by real and then imaginary part.
template <typename T>
bool is_above(T a, T b) {
  if constexpr (is_complex<T>) {
    return a.re > b.re || (a.re == b.re && a.im > b.im);
  } else {
    return a > b;
  }
}
template <typename T>
bool has_nan(T a) {
  if constexpr (is_complex<T>) {
    return a.re != a.re || a.im != a.im;
  } else {
    return a != a;
  }
}
struct Max {
  template <typename T>
  static T combine(T a, T b) {
    return is_above(a, b) || has_nan(a) ? a : b;
  }
};
struct Min {
  template <typename T>
  static T combine(T a, T b) {
    return is_above(b, a) || has_nan(a) ? a : b;
  }
};

template <typename Mode, typename T>
void combine_values(void* target, int64_t target_stride, const void* update, int64_t update_stride,
                    int64_t n) {
  T* to = static_cast<T*>(target);
  const T* from = static_cast<const T*>(update);
  using S = Stored<T>;
  if (target_stride == 1 && update_stride == 1) {
    for (int64_t i = 0; i < n; i++) {
      to[i] = S::store(Mode::combine(S::load(to[i]), S::load(from[i])));
    }
    return;
  }
  for (int64_t i = 0; i < n; i++) {
    T& element = to[i * target_stride];
    element = S::store(Mode::combine(S::load(element), S::load(from[i * update_stride])));
  }
}

template <typename T>
void replace_values(void* target, int64_t target_stride, const void* update, int64_t update_stride,
                    int64_t n) {
  T* to = static_cast<T*>(target);
  const T* from = static_cast<const T*>(update);
  if (target_stride == 1 && update_stride == 1) {
    __builtin_memcpy(to, from, n * sizeof(T));
    return;
  }
  for (int64_t i = 0; i < n; i++) {
    to[i * target_stride] = from[i * update_stride];
  }
}

template <typename Mode, typename T>
void combine_scattered(void* target, const int64_t* offsets, int64_t n, const void* update,
                       int64_t update_stride, int64_t low, int64_t high) {
  T* to = static_cast<T*>(target);
  const T* from = static_cast<const T*>(update);
  using S = Stored<T>;
  for (int64_t i = 0; i < n; i++) {
    if (offsets[i] >= low && offsets[i] < high) {
      T& element = to[offsets[i]];
      element = S::store(Mode::combine(S::load(element), S::load(from[i * update_stride])));
    }
  }
}

template <typename T>
void add_dtype(CombineTable& table, Dtype::Val dtype) {
  int d = static_cast<int>(dtype);
  using Word =
      choose_type<sizeof(T) == 1, uint8_t,
                  choose_type<sizeof(T) == 2, uint16_t,
                              choose_type<sizeof(T) == 4, uint32_t,
                                          choose_type<sizeof(T) == 8, uint64_t, WideComplex>>>>;
  table.rows[0][d] = replace_values<Word>;
  table.elements[0][d] = combine_scattered<Replace, Word>;
  table.rows[1][d] = combine_values<Sum, T>;
  table.elements[1][d] = combine_scattered<Sum, T>;
  table.rows[2][d] = combine_values<Prod, T>;
  table.elements[2][d] = combine_scattered<Prod, T>;
  table.rows[3][d] = combine_values<Max, T>;
  table.elements[3][d] = combine_scattered<Max, T>;
  table.rows[4][d] = combine_values<Min, T>;
  table.elements[4][d] = combine_scattered<Min, T>;
}

CombineTable make_table() {
  using Val = Dtype::Val;
  CombineTable table{};
  add_dtype<bool>(table, Val::bool_);
  add_dtype<uint8_t>(table, Val::uint8);
  add_dtype<uint16_t>(table, Val::uint16);
  add_dtype<uint32_t>(table, Val::uint32);
  add_dtype<uint64_t>(table, Val::uint64);
  add_dtype<int8_t>(table, Val::int8);
  add_dtype<int16_t>(table, Val::int16);
  add_dtype<int32_t>(table, Val::int32);
  add_dtype<int64_t>(table, Val::int64);
  add_dtype<Half>(table, Val::float16);
  add_dtype<BFloat>(table, Val::bfloat16);
  add_dtype<float>(table, Val::float32);
  add_dtype<double>(table, Val::float64);
  add_dtype<Complex>(table, Val::complex64);
  add_dtype<WideComplex>(table, Val::complex128);
  return table;
}

}  // namespace

const CombineTable& combine_table() {
  static const CombineTable table = make_table();
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
