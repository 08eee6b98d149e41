// What recurrent layers do to a tile of sums of one step, forward and backward, in float and
// double.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"

namespace mlx::core::cpu {

/** Values of some rows and neighbouring units, in one or several parts such as the gates. */
template <typename T>
struct RecurrentView {
  T* data = nullptr;
  int64_t row_stride = 0, part_stride = 0;
};

/** `rows` times `count` units of a step. Missing states are rows of zeros, but for the LSTM's
 *  missing cell: null. */
template <typename T>
struct RecurrentStep {
  int64_t rows, count;
  RecurrentView<const T> projections, sums;  // sums: the weight times the hidden state before
  RecurrentView<const T> bias, hidden, cell;
  RecurrentView<T> hidden_out, cell_out, kept;
};

/** The same backwards. `sums` are what the step behind brings to the hidden state's gradient;
 * `carry` is what reaches the step before past the weight: the LSTM's cell, the GRU's kept state.
 */
template <typename T>
struct RecurrentBackStep {
  int64_t rows, count;
  RecurrentView<const T> kept, hidden, hidden_before, cell, cell_before;
  RecurrentView<const T> hidden_cotangent, cell_cotangent, sums;
  RecurrentView<T> carry, projections_grad, recurrent_grad;
};

/** One function for each kind of layer, in the order of RecurrentSpec::Kind. */
template <typename T>
struct RecurrentKernel {
  void (*forward[4])(const RecurrentStep<T>& step);
  void (*backward[4])(const RecurrentBackStep<T>& step);
};

struct RecurrentTable {
  RecurrentKernel<float> f32;
  RecurrentKernel<double> f64;
};

MLX_ISA_TABLE(RecurrentTable, recurrent_table)

}  // namespace mlx::core::cpu
