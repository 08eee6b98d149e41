// Rotations of rows: half types pass through short buffers of float that stay in the first cache.
#include "mlx/backend/cpu/half_rows.h"
#include "mlx/backend/cpu/rope_kernels.h"
#include "mlx/kernels/math_trig.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

using namespace kernels;

constexpr int64_t chunk = 128;  // values that are held in a buffer

void angles_f32(float position, const float* freqs, float* cosines, float* sines, int64_t pairs) {
  int beyond = 0;
  for (int64_t i = 0; i < pairs; i++) {
    float angle = position * freqs[i];
    beyond |= !(fabs(angle) <= math::trig_limit);
  }
  if (beyond) {
    for (int64_t i = 0; i < pairs; i++) {
      cosines[i] = math::cos_any(position * freqs[i]);
      sines[i] = math::sin_any(position * freqs[i]);
    }
    return;
  }
#pragma GCC ivdep
  for (int64_t i = 0; i < pairs; i++) {
    float angle = position * freqs[i];
    cosines[i] = math::cos_bounded(angle);
    sines[i] = math::sin_bounded(angle);
  }
}

void angles_f64(double position, const double* freqs, double* cosines, double* sines,
                int64_t pairs) {
  for (int64_t i = 0; i < pairs; i++) {
    cosines[i] = math::cos(position * freqs[i]);
    sines[i] = math::sin(position * freqs[i]);
  }
}

template <typename T>
using Compute = choose_type<is_float<T>, T, float>;

/** n values in the compute type: where they are, or in `buffer`. */
template <typename T>
const Compute<T>* read(const T* in, [[maybe_unused]] Compute<T>* buffer,
                       [[maybe_unused]] int64_t n) {
  if constexpr (is_float<T>) {
    return in;
  } else {
    widen_row(buffer, in, n);
    return buffer;
  }
}

/** Where n results go before `write`. */
template <typename T>
Compute<T>* target(T* out, [[maybe_unused]] Compute<T>* buffer) {
  if constexpr (is_float<T>) {
    return out;
  } else {
    return buffer;
  }
}

template <typename T>
void write([[maybe_unused]] T* out, [[maybe_unused]] const Compute<T>* values,
           [[maybe_unused]] int64_t n) {
  if constexpr (!is_float<T>) narrow_row(out, values, n);
}

/** One row whose pairs are `pairs` apart. */
template <typename T, typename C>
void turn_halves(const T* in, T* out, const C* cosines, const C* sines, int64_t pairs) {
  C first[chunk], second[chunk];
  for (int64_t at = 0; at < pairs; at += chunk) {
    int64_t n = pairs - at < chunk ? pairs - at : chunk;
    const C *a = read(in + at, first, n), *b = read(in + pairs + at, second, n);
    const C *c = cosines + at, *s = sines + at;
    C *x = target(out + at, first), *y = target(out + pairs + at, second);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) {
      C u = a[i], v = b[i];
      x[i] = u * c[i] - v * s[i];
      y[i] = u * s[i] + v * c[i];
    }
    write(out + at, first, n);
    write(out + pairs + at, second, n);
  }
}

/** One row whose pairs are neighbours. */
template <typename T, typename C>
void turn_neighbours(const T* in, T* out, const C* cosines, const C* sines, int64_t pairs) {
  C buffer[chunk];
  for (int64_t at = 0; at < pairs; at += chunk / 2) {
    int64_t n = pairs - at < chunk / 2 ? pairs - at : chunk / 2;
    const C* a = read(in + 2 * at, buffer, 2 * n);
    const C *c = cosines + at, *s = sines + at;
    C* x = target(out + 2 * at, buffer);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) {
      C u = a[2 * i], v = a[2 * i + 1];
      x[2 * i] = u * c[i] - v * s[i];
      x[2 * i + 1] = u * s[i] + v * c[i];
    }
    write(out + 2 * at, buffer, 2 * n);
  }
}

template <typename T, bool neighbours>
void turn(const RopeRows& rows, const void* cosines, const void* sines) {
  using C = Compute<T>;
  for (int64_t r = 0; r < rows.count; r++) {
    const T* in = static_cast<const T*>(rows.in) + r * rows.in_stride;
    T* out = static_cast<T*>(rows.out) + r * rows.out_stride;
    const C* c = static_cast<const C*>(cosines) + r * rows.pairs;
    const C* s = static_cast<const C*>(sines) + r * rows.pairs;
    if constexpr (neighbours) {
      turn_neighbours(in, out, c, s, rows.pairs);
    } else {
      turn_halves(in, out, c, s, rows.pairs);
    }
    int64_t turned = 2 * rows.pairs;
    if (in != out && turned < rows.width) {
      __builtin_memcpy(out + turned, in + turned, (rows.width - turned) * sizeof(T));
    }
  }
}

}  // namespace

const RopeTable& rope_table() {
  static constexpr RopeTable table = {angles_f32,
                                      angles_f64,
                                      {turn<Half, false>, turn<Half, true>},
                                      {turn<BFloat, false>, turn<BFloat, true>},
                                      {turn<float, false>, turn<float, true>},
                                      {turn<double, false>, turn<double, true>}};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
