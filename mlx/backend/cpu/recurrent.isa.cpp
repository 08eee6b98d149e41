// Steps of recurrent layers over tiles of sums that are still in the first cache.
#include "mlx/kernels/recurrent.h"

#include "mlx/backend/cpu/recurrent_kernels.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

template <typename T>
T* at(const RecurrentView<T>& view, int64_t row, int64_t part = 0) {
  return view.data + row * view.row_stride + part * view.part_stride;
}

template <bool has_cell, typename T>
void lstm_row(const RecurrentStep<T>& s, int64_t row) {
  const T *x0 = at(s.projections, row, 0), *x1 = at(s.projections, row, 1),
          *x2 = at(s.projections, row, 2), *x3 = at(s.projections, row, 3);
  const T *h0 = at(s.sums, row, 0), *h1 = at(s.sums, row, 1), *h2 = at(s.sums, row, 2),
          *h3 = at(s.sums, row, 3);
  const T* before = has_cell ? at(s.cell, row) : nullptr;
  T *hidden = at(s.hidden_out, row), *cell = at(s.cell_out, row);
  T *entry = at(s.kept, row, 0), *forget = at(s.kept, row, 1), *candidate = at(s.kept, row, 2),
    *output = at(s.kept, row, 3);
#pragma GCC ivdep
  for (int64_t j = 0; j < s.count; j++) {
    auto u = kernels::lstm_unit<has_cell>(x0[j] + h0[j], x1[j] + h1[j], x2[j] + h2[j],
                                          x3[j] + h3[j], has_cell ? before[j] : T(0));
    entry[j] = u.entry;
    forget[j] = u.forget;
    candidate[j] = u.candidate;
    output[j] = u.output;
    cell[j] = u.cell;
    hidden[j] = u.hidden;
  }
}

template <typename T>
void lstm(const RecurrentStep<T>& s) {
  for (int64_t row = 0; row < s.rows; row++) {
    if (s.cell.data) {
      lstm_row<true>(s, row);
    } else {
      lstm_row<false>(s, row);
    }
  }
}

template <typename T>
void lstm_back(const RecurrentBackStep<T>& s) {
  for (int64_t row = 0; row < s.rows; row++) {
    const T *entry = at(s.kept, row, 0), *forget = at(s.kept, row, 1),
            *candidate = at(s.kept, row, 2), *output = at(s.kept, row, 3);
    const T *cell = at(s.cell, row), *before = at(s.cell_before, row), *sums = at(s.sums, row);
    const T *dh = at(s.hidden_cotangent, row), *dc = at(s.cell_cotangent, row);
    T* carry = at(s.carry, row);
    T *d0 = at(s.projections_grad, row, 0), *d1 = at(s.projections_grad, row, 1),
      *d2 = at(s.projections_grad, row, 2), *d3 = at(s.projections_grad, row, 3);
#pragma GCC ivdep
    for (int64_t j = 0; j < s.count; j++) {
      auto d = kernels::lstm_gradient(entry[j], forget[j], candidate[j], output[j], cell[j],
                                      before[j], dh[j] + sums[j], dc[j] + carry[j]);
      d0[j] = d.entry;
      d1[j] = d.forget;
      d2[j] = d.candidate;
      d3[j] = d.output;
      carry[j] = d.before;
    }
  }
}

template <typename T>
void gru(const RecurrentStep<T>& s) {
  for (int64_t row = 0; row < s.rows; row++) {
    const T *x0 = at(s.projections, row, 0), *x1 = at(s.projections, row, 1),
            *x2 = at(s.projections, row, 2);
    const T *h0 = at(s.sums, row, 0), *h1 = at(s.sums, row, 1), *h2 = at(s.sums, row, 2);
    const T *bias = at(s.bias, row), *before = at(s.hidden, row);
    T* hidden = at(s.hidden_out, row);
    T *reset = at(s.kept, row, 0), *keep = at(s.kept, row, 1), *candidate = at(s.kept, row, 2),
      *recurrent = at(s.kept, row, 3);
#pragma GCC ivdep
    for (int64_t j = 0; j < s.count; j++) {
      T from_hidden = h2[j] + bias[j];
      auto u = kernels::gru_unit(x0[j] + h0[j], x1[j] + h1[j], x2[j], from_hidden, before[j]);
      reset[j] = u.reset;
      keep[j] = u.keep;
      candidate[j] = u.candidate;
      recurrent[j] = from_hidden;
      hidden[j] = u.hidden;
    }
  }
}

template <typename T>
void gru_back(const RecurrentBackStep<T>& s) {
  for (int64_t row = 0; row < s.rows; row++) {
    const T *reset = at(s.kept, row, 0), *keep = at(s.kept, row, 1),
            *candidate = at(s.kept, row, 2), *recurrent = at(s.kept, row, 3);
    const T *before = at(s.hidden_before, row), *sums = at(s.sums, row),
            *dh = at(s.hidden_cotangent, row);
    T *carry = at(s.carry, row), *from_hidden = at(s.recurrent_grad, row);
    T *d0 = at(s.projections_grad, row, 0), *d1 = at(s.projections_grad, row, 1),
      *d2 = at(s.projections_grad, row, 2);
#pragma GCC ivdep
    for (int64_t j = 0; j < s.count; j++) {
      auto d = kernels::gru_gradient(reset[j], keep[j], candidate[j], recurrent[j], before[j],
                                     dh[j] + sums[j] + carry[j]);
      d0[j] = d.reset;
      d1[j] = d.keep;
      d2[j] = d.candidate;
      from_hidden[j] = d.recurrent;
      carry[j] = d.before;
    }
  }
}

template <bool is_tanh, typename T>
void rnn(const RecurrentStep<T>& s) {
  for (int64_t row = 0; row < s.rows; row++) {
    const T *x = at(s.projections, row), *h = at(s.sums, row);
    T* hidden = at(s.hidden_out, row);
#pragma GCC ivdep
    for (int64_t j = 0; j < s.count; j++) hidden[j] = kernels::rnn_unit<is_tanh>(x[j] + h[j]);
  }
}

template <bool is_tanh, typename T>
void rnn_back(const RecurrentBackStep<T>& s) {
  for (int64_t row = 0; row < s.rows; row++) {
    const T *hidden = at(s.hidden, row), *dh = at(s.hidden_cotangent, row), *sums = at(s.sums, row);
    T* d = at(s.projections_grad, row);
#pragma GCC ivdep
    for (int64_t j = 0; j < s.count; j++) {
      d[j] = kernels::rnn_gradient<is_tanh>(hidden[j], dh[j] + sums[j]);
    }
  }
}

template <typename T>
constexpr RecurrentKernel<T> kernel_of() {
  return {{lstm<T>, gru<T>, rnn<true, T>, rnn<false, T>},
          {lstm_back<T>, gru_back<T>, rnn_back<true, T>, rnn_back<false, T>}};
}

}  // namespace

const RecurrentTable& recurrent_table() {
  static constexpr RecurrentTable table = {kernel_of<float>(), kernel_of<double>()};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
