// Steps of the gated delta rule: the state's rows stay in the first cache meanwhile.
#include "mlx/backend/cpu/gated_delta_kernels.h"

namespace mlx::core::cpu::MLX_ISA {

namespace {

constexpr int64_t lanes = 16;  // partial sums that add up in an order of their own

/** Adds up what `term` gives for each feature. */
template <typename F>
float sum_of(int64_t width, const F& term) {
  float parts[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= width; i += lanes) {
#pragma GCC ivdep
    for (int64_t j = 0; j < lanes; j++) parts[j] += term(i + j);
  }
  for (; i < width; i++) parts[i % lanes] += term(i);
  float total = 0;
  for (float part : parts) total += part;
  return total;
}

template <bool per_feature>
void step(const GatedDeltaRows& s, int64_t t) {
  const float* __restrict query = s.query + t * s.key_stride;
  const float* __restrict key = s.key + t * s.key_stride;
  const float* value = s.value + t * s.value_stride;
  const float* __restrict gate = s.gate + t * s.gate_stride;
  float beta = s.beta[t * s.beta_stride];
  float* out = s.out + t * s.value_stride;
  for (int64_t row = 0; row < s.rows; row++) {
    float* __restrict state = s.state + row * s.width;
    float known = sum_of(s.width, [&](int64_t i) {
      state[i] *= gate[per_feature ? i : 0];
      return state[i] * key[i];
    });
    float delta = (value[row] - known) * beta;
    out[row] = sum_of(s.width, [&](int64_t i) {
      state[i] += key[i] * delta;
      return state[i] * query[i];
    });
  }
}

void run(const GatedDeltaRows& s) {
  for (int64_t t = 0; t < s.steps; t++) {
    if (s.mask && !s.mask[t]) {
      for (int64_t row = 0; row < s.rows; row++) s.out[t * s.value_stride + row] = 0;
    } else if (s.gate_per_feature) {
      step<true>(s, t);
    } else {
      step<false>(s, t);
    }
  }
}

}  // namespace

const GatedDeltaTable& gated_delta_table() {
  static constexpr GatedDeltaTable table = {run};
  return table;
}

}  // namespace mlx::core::cpu::MLX_ISA
