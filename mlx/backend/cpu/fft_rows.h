// Rows in memory on one side, vectors of one number from each row on the other. Included by
// kernels.
#pragma once

#include "mlx/backend/cpu/fft.h"
#include "mlx/backend/cpu/fft_butterfly.h"

namespace mlx::core::cpu::MLX_ISA {
namespace {

/** Parts [first, first + count) of rows, a part being a real number or half of a complex one, and
 *  their places: part p is vector (step p) ^ flip. */
struct Parts {
  int64_t first, count;
  int per_number;  // parts of what strides and offsets count: 1 or 2
  int step, flip;
};

template <typename T>
class RowsInLanes {
 public:
  explicit RowsInLanes(const FftRows& rows)
      : rows_(rows),
        in_adjacent_(adjacent(rows.in_places)),
        out_adjacent_(adjacent(rows.out_places)) {}

  /** Numbers [begin, begin + count) of what the kind transforms; zero from `in_length` on. */
  void load(int64_t begin, int64_t count, Numbers<T>* x) const {
    bool real = rows_.kind == FftKind::real_to_complex || rows_.kind == FftKind::real_to_half_odd;
    bool pairs = rows_.kind == FftKind::real_to_half;
    int width = real ? 1 : 2;
    Parts parts{begin * width, count * width, real || pairs ? 1 : 2, 3 - width,
                !pairs && rows_.swap_in};
    int64_t available = rows_.in_length * parts.per_number - parts.first;
    if (real || available < parts.count) {
      for (int64_t j = 0; j < count; j++) x[j] = Numbers<T>{};
      if (available <= 0) return;
      parts.count = available < parts.count ? available : parts.count;
    }
    if constexpr (sizeof(T) == sizeof(double)) {
      if (rows_.in_double) return load_from<double>(parts, &x->re);
    }
    load_from<float>(parts, &x->re);
  }

  /** Whether full vectors of complex numbers lie in lines, which load_line and store_line take. */
  bool loads_lines() const {
    bool complex = rows_.kind == FftKind::complex_to_complex || rows_.kind == FftKind::half_to_real;
    return complex && same_type(rows_.in_double) && in_adjacent_ && rows_.lanes == lanes &&
           rows_.in_stride != 1;
  }
  bool stores_lines() const {
    bool complex = rows_.kind != FftKind::half_to_real && rows_.kind != FftKind::half_to_real_odd;
    return complex && same_type(rows_.out_double) && out_adjacent_ && rows_.lanes == lanes &&
           rows_.out_stride != 1;
  }
  /** Whether rows are transposed, in squares of as many parts as there are lanes. */
  bool loads_squares() const { return rows_.in_stride == 1; }
  bool stores_squares() const { return rows_.out_stride == 1; }

  Numbers<T> load_line(int64_t j) const {
    auto line = static_cast<const T*>(rows_.in) + 2 * (rows_.in_places[0] + j * rows_.in_stride);
    ahead_of_load(line, 2);
    ahead_of_load(line + lanes, 2);
    V re = simd::load(line), im = simd::load(line + lanes);
    simd::split_parts<T>(re, im);
    return rows_.swap_in ? Numbers<T>{im, re} : Numbers<T>{re, im};
  }
  void store_line(int64_t j, Numbers<T> x) const {
    auto line = static_cast<T*>(rows_.out) + 2 * (rows_.out_places[0] + j * rows_.out_stride);
    V scale = simd::splat(static_cast<T>(rows_.scale));
    V re = (rows_.swap_out ? x.im : x.re) * scale, im = (rows_.swap_out ? x.re : x.im) * scale;
    simd::join_parts<T>(re, im);
    ahead_of_store(line, 2);
    ahead_of_store(line + lanes, 2);
    simd::store<T>(line, re);
    simd::store<T>(line + lanes, im);
  }
  int64_t length() const { return rows_.in_length; }

  /** Numbers [begin, begin + count) of complex output, or pairs of real output. */
  void store(int64_t begin, int64_t count, const Numbers<T>* x) const {
    bool odd = rows_.kind == FftKind::half_to_real_odd;
    bool pairs = rows_.kind == FftKind::half_to_real;
    int width = odd ? 1 : 2;
    Parts parts{begin * width, count * width, odd || pairs ? 1 : 2, 3 - width,
                odd || pairs || rows_.swap_out};
    if constexpr (sizeof(T) == sizeof(double)) {
      if (rows_.out_double) return store_to<double>(parts, &x->re);
    }
    store_to<float>(parts, &x->re);
  }

 private:
  using V = simd::Vec<T>;
  static constexpr int lanes = simd::kLanes<T>;

  static bool same_type(bool is_double) { return is_double == (sizeof(T) == sizeof(double)); }

  template <typename S>
  void ahead_of_load(const S* p, int per_number) const {
    __builtin_prefetch(p + rows_.in_ahead * per_number, 0, 2);
  }
  template <typename S>
  void ahead_of_store(const S* p, int per_number) const {
    __builtin_prefetch(p + rows_.out_ahead * per_number, 1);
  }

  bool adjacent(const FftPlaces& places) const {
    if (!places.offsets) return places.step == 1;
    for (int l = 1; l < rows_.lanes; l++) {
      if (places[l] != places[0] + l) return false;
    }
    return true;
  }

  static int64_t offset_of(const Parts& p, int64_t row, int64_t part, int64_t stride) {
    if (p.per_number == 1) return row + part * stride;
    return 2 * (row + (part >> 1) * stride) + (part & 1);
  }

  template <typename S>
  static V load_some(const S* p, int n) {
    using E = simd::Element<S, T>;
    return n >= lanes ? E::load(p) : n > 0 ? simd::load_some<E>(p, n) : V{};
  }

  template <typename S>
  static void store_some(S* p, V v, int n) {
    using E = simd::Element<S, T>;
    if (n >= lanes) {
      E::store(p, v);
    } else if (n > 0) {
      simd::store_some<E>(p, v, n);
    }
  }

  template <typename S>
  void load_from(const Parts& p, V* x) const {
    if (rows_.in_stride == 1) {
      load_along<S>(p, x);
    } else if (in_adjacent_) {
      load_across<S>(p, x);
    } else {
      auto in = static_cast<const S*>(rows_.in);
      for (int l = 0; l < rows_.lanes; l++) {
        for (int64_t i = 0; i < p.count; i++) {
          int64_t at = offset_of(p, rows_.in_places[l], p.first + i, rows_.in_stride);
          reinterpret_cast<T*>(x + (i * p.step ^ p.flip))[l] = static_cast<T>(in[at]);
        }
      }
    }
  }

  /** Dense rows: squares of them are transposed. */
  template <typename S>
  void load_along(const Parts& p, V* x) const {
    auto in = static_cast<const S*>(rows_.in) + p.first;
    const S* row[lanes];
    for (int l = 0; l < rows_.lanes; l++) row[l] = in + rows_.in_places[l] * p.per_number;
    for (int64_t i = 0; i < p.count; i += lanes) {
      int here = p.count - i < lanes ? static_cast<int>(p.count - i) : lanes;
      V square[lanes];
      if (here == lanes && rows_.lanes == lanes) {
#pragma GCC unroll 16
        for (int l = 0; l < lanes; l++) {
          ahead_of_load(row[l] + i, p.per_number);
          square[l] = simd::Element<S, T>::load(row[l] + i);
        }
      } else {
        for (int l = 0; l < lanes; l++) {
          square[l] = l < rows_.lanes ? load_some(row[l] + i, here) : V{};
        }
      }
      simd::transpose<T>(square);
      V* even = x + (i * p.step ^ p.flip);
      V* odd = p.step == 1 ? x + ((i + 1) ^ p.flip) : even + 2;
      if (here == lanes) {
#pragma GCC unroll 16
        for (int j = 0; j < lanes; j += 2) {
          even[j * p.step] = square[j];
          odd[j * p.step] = square[j + 1];
        }
      } else {
        for (int j = 0; j < here; j++) x[(i + j) * p.step ^ p.flip] = square[j];
      }
    }
  }

  /** Rows next to each other: the numbers of one place lie in a line. */
  template <typename S>
  void load_across(const Parts& p, V* x) const {
    auto in = static_cast<const S*>(rows_.in);
    int live = rows_.lanes;
    if (p.per_number == 1) {
      for (int64_t i = 0; i < p.count; i++) {
        const S* line = in + rows_.in_places[0] + (p.first + i) * rows_.in_stride;
        ahead_of_load(line, 1);
        x[i * p.step ^ p.flip] = load_some(line, live);
      }
      return;
    }
    for (int64_t i = 0; i < p.count; i += 2) {
      const S* line = in + 2 * (rows_.in_places[0] + (p.first + i) / 2 * rows_.in_stride);
      ahead_of_load(line, 2);
      ahead_of_load(line + lanes, 2);
      V re = load_some(line, 2 * live), im = load_some(line + lanes, 2 * live - lanes);
      simd::split_parts<T>(re, im);
      x[i ^ p.flip] = re;
      x[(i + 1) ^ p.flip] = im;
    }
  }

  template <typename S>
  void store_to(const Parts& p, const V* x) const {
    if (rows_.out_stride == 1) {
      store_along<S>(p, x);
    } else if (out_adjacent_) {
      store_across<S>(p, x);
    } else {
      auto out = static_cast<S*>(rows_.out);
      T scale = static_cast<T>(rows_.scale);
      for (int l = 0; l < rows_.lanes; l++) {
        for (int64_t i = 0; i < p.count; i++) {
          int64_t at = offset_of(p, rows_.out_places[l], p.first + i, rows_.out_stride);
          T value = reinterpret_cast<const T*>(x + (i * p.step ^ p.flip))[l];
          out[at] = static_cast<S>(value * scale);
        }
      }
    }
  }

  template <typename S>
  void store_along(const Parts& p, const V* x) const {
    auto out = static_cast<S*>(rows_.out) + p.first;
    S* row[lanes];
    for (int l = 0; l < rows_.lanes; l++) row[l] = out + rows_.out_places[l] * p.per_number;
    V scale = simd::splat(static_cast<T>(rows_.scale));
    for (int64_t i = 0; i < p.count; i += lanes) {
      int here = p.count - i < lanes ? static_cast<int>(p.count - i) : lanes;
      const V* even = x + (i * p.step ^ p.flip);
      const V* odd = p.step == 1 ? x + ((i + 1) ^ p.flip) : even + 2;
      V square[lanes];
      if (here == lanes) {
#pragma GCC unroll 16
        for (int j = 0; j < lanes; j += 2) {
          square[j] = even[j * p.step] * scale;
          square[j + 1] = odd[j * p.step] * scale;
        }
      } else {
        for (int j = 0; j < lanes; j++) {
          square[j] = j < here ? x[(i + j) * p.step ^ p.flip] * scale : V{};
        }
      }
      simd::transpose<T>(square);
      if (here == lanes && rows_.lanes == lanes) {
#pragma GCC unroll 16
        for (int l = 0; l < lanes; l++) {
          ahead_of_store(row[l] + i, p.per_number);
          simd::Element<S, T>::store(row[l] + i, square[l]);
        }
      } else {
        for (int l = 0; l < rows_.lanes; l++) store_some(row[l] + i, square[l], here);
      }
    }
  }

  template <typename S>
  void store_across(const Parts& p, const V* x) const {
    auto out = static_cast<S*>(rows_.out);
    V scale = simd::splat(static_cast<T>(rows_.scale));
    int live = rows_.lanes;
    if (p.per_number == 1) {
      for (int64_t i = 0; i < p.count; i++) {
        S* line = out + rows_.out_places[0] + (p.first + i) * rows_.out_stride;
        ahead_of_store(line, 1);
        store_some(line, x[i * p.step ^ p.flip] * scale, live);
      }
      return;
    }
    for (int64_t i = 0; i < p.count; i += 2) {
      S* line = out + 2 * (rows_.out_places[0] + (p.first + i) / 2 * rows_.out_stride);
      V re = x[i ^ p.flip] * scale, im = x[(i + 1) ^ p.flip] * scale;
      simd::join_parts<T>(re, im);
      ahead_of_store(line, 2);
      ahead_of_store(line + lanes, 2);
      store_some(line, re, 2 * live);
      store_some(line + lanes, im, 2 * live - lanes);
    }
  }

  const FftRows& rows_;
  bool in_adjacent_, out_adjacent_;
};

}  // namespace
}  // namespace mlx::core::cpu::MLX_ISA
