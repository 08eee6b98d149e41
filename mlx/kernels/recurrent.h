// One unit of a recurrent layer at one step, forward and backward: the formulas of each kind, in
// the type that is computed in.
#pragma once

#include "mlx/kernels/elementwise.h"

namespace mlx::core::kernels {
inline namespace MLX_ISA {

template <typename T>
struct LstmUnit {
  T entry, forget, candidate, output, cell, hidden;
};

/** From the four sums; `before` is the cell before. */
template <bool has_cell, typename T>
MLX_FN LstmUnit<T> lstm_unit(T entry, T forget, T candidate, T output, T before) {
  LstmUnit<T> u;
  u.entry = math::sigmoid(entry);
  u.forget = math::sigmoid(forget);
  u.candidate = math::tanh(candidate);
  u.output = math::sigmoid(output);
  u.cell = u.entry * u.candidate;
  if constexpr (has_cell) u.cell = madd(u.forget, before, u.cell);
  u.hidden = u.output * math::tanh(u.cell);
  return u;
}

template <typename T>
struct LstmGradient {
  T entry, forget, candidate, output, before;
};

/** Gradients of the four sums and of the cell before. `cell` and `before` are the cells after and
 *  before the step, `dc` comes from behind. */
template <typename T>
MLX_FN LstmGradient<T> lstm_gradient(T entry, T forget, T candidate, T output, T cell, T before,
                                     T dh, T dc) {
  T squashed = math::tanh(cell);
  dc = madd(dh * output, T(1) - squashed * squashed, dc);
  LstmGradient<T> d;
  d.entry = dc * candidate * entry * (T(1) - entry);
  d.forget = dc * before * forget * (T(1) - forget);
  d.candidate = dc * entry * (T(1) - candidate * candidate);
  d.output = dh * squashed * output * (T(1) - output);
  d.before = dc * forget;
  return d;
}

template <typename T>
struct GruUnit {
  T reset, keep, candidate, hidden;
};

/** From the sums of reset and keep, the input's part of the candidate, Un h + bhn, and the state
 *  before. */
template <typename T>
MLX_FN GruUnit<T> gru_unit(T reset, T keep, T candidate, T recurrent, T before) {
  GruUnit<T> u;
  u.reset = math::sigmoid(reset);
  u.keep = math::sigmoid(keep);
  u.candidate = math::tanh(madd(u.reset, recurrent, candidate));
  u.hidden = madd(u.keep, before, (T(1) - u.keep) * u.candidate);
  return u;
}

template <typename T>
struct GruGradient {
  T reset, keep, candidate, recurrent, before;
};

template <typename T>
MLX_FN GruGradient<T> gru_gradient(T reset, T keep, T candidate, T recurrent, T before, T dh) {
  GruGradient<T> d;
  d.candidate = dh * (T(1) - keep) * (T(1) - candidate * candidate);
  d.recurrent = d.candidate * reset;
  d.reset = d.candidate * recurrent * reset * (T(1) - reset);
  d.keep = dh * (before - candidate) * keep * (T(1) - keep);
  d.before = dh * keep;
  return d;
}

template <bool is_tanh, typename T>
MLX_FN T rnn_unit(T sum) {
  if constexpr (is_tanh) {
    return math::tanh(sum);
  } else {
    return op::Maximum::apply(sum, T(0));
  }
}

/** The gradient of the sum, from the state after the step. */
template <bool is_tanh, typename T>
MLX_FN T rnn_gradient(T hidden, T dh) {
  if constexpr (is_tanh) {
    return dh * (T(1) - hidden * hidden);
  } else {
    return hidden > T(0) ? dh : T(0);
  }
}

}  // namespace MLX_ISA
}  // namespace mlx::core::kernels
