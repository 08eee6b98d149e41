// What happens to rows of scores between products: scaling, masks, softmax. Included only by
// *.isa.cpp files.
#pragma once

#include "mlx/backend/cpu/attention/block_kernels.h"
#include "mlx/backend/cpu/gemm/simd.h"

namespace mlx::core::cpu::MLX_ISA::simd {

constexpr int64_t kScoreLanes = kLanes<float>;
constexpr float kLowestScore = -__FLT_MAX__;

static inline Vec<float> greater(Vec<float> a, Vec<float> b) { return a > b ? a : b; }

// Lanes of v where the bit is set, else of `other`.
static inline Vec<float> pick(uint32_t bits, Vec<float> v, Vec<float> other) {
#if defined(__AVX512F__)
  return _mm512_mask_blend_ps(static_cast<__mmask16>(bits), other, v);
#else
  Vec<int32_t> lane;
  for (int i = 0; i < static_cast<int>(kScoreLanes); ++i) lane[i] = 1 << i;
  return (splat(static_cast<int32_t>(bits)) & lane) != 0 ? v : other;
#endif
}

// 2^r for |r| <= 1/2: relative error 3e-6 at degree 4, 1e-7 at degree 5; 1 at 0.
template <int Degree>
static inline Vec<float> power_of_fraction(Vec<float> r) {
  static_assert(Degree == 4 || Degree == 5);
  auto next = [&](float c, Vec<float> p) { return fma<float>(p, r, splat(c)); };
  Vec<float> p;
  if constexpr (Degree == 4) {
    p = next(0.055906426f, splat(0.009582853f));
    p = next(0.69312408f, next(0.24024099f, p));
  } else {
    p = next(0.0096715130f, splat(0.0013264727f));
    p = next(0.69314700f, next(0.24022242f, next(0.055507336f, p)));
  }
  return next(1.0f, p);
}

// exp(x) for x <= 80 or NaN: relative error that of the polynomial and 6e-8 (1 + |x|); 0 below
// -87, where the result is under 2e-38.
template <int Degree>
static inline Vec<float> exp_of_difference(Vec<float> x) {
  constexpr float log2e = 1.44269504f, shift = 12582912.0f;  // adding 1.5 * 2^23 rounds
#if defined(__AVX512F__)
  Vec<float> n = fma<float>(x, splat(log2e), splat(shift)) - splat(shift);
  Vec<float> p = power_of_fraction<Degree>(fma<float>(x, splat(log2e), -n));
  __mmask16 stays = _mm512_cmp_ps_mask(x, splat(-87.0f), _CMP_NLT_UQ);  // NaN as well
  return _mm512_maskz_scalef_ps(stays, p, n);
#else
  Vec<float> lowest = splat(-87.0f);
  Vec<int32_t> vanishes = x < lowest;
  x = vanishes ? lowest : x;
  Vec<float> t = fma<float>(x, splat(log2e), splat(shift));
  Vec<float> p = power_of_fraction<Degree>(fma<float>(x, splat(log2e), splat(shift) - t));
  auto scaled = reinterpret_cast<Vec<int32_t> >(p) + (reinterpret_cast<Vec<int32_t> >(t) << 23);
  return vanishes ? Vec<float>{} : reinterpret_cast<Vec<float> >(scaled);
#endif
}

// Lane i of v combined with all lanes whose numbers differ from i.
template <int Distance = 1, typename Combine>
static inline Vec<float> fold_lanes(Vec<float> v, Combine combine) {
  if constexpr (Distance < kLanes<float>) {
    Vec<int32_t> other;
#pragma GCC unroll 16
    for (int i = 0; i < kLanes<float>; ++i) other[i] = i ^ Distance;
    return fold_lanes<2 * Distance>(combine(v, __builtin_shuffle(v, other)), combine);
  } else {
    return v;
  }
}

static inline float sum_of_lanes(Vec<float> v) {
  return fold_lanes(v, [](Vec<float> a, Vec<float> b) { return a + b; })[0];
}

static inline float greatest_lane(Vec<float> v) { return fold_lanes(v, greater)[0]; }

// Scales and masks the scores of a row: those that are hidden become the lowest float, those of
// padding minus infinity.
static inline void mask_row(const ScoreBlock& b, int64_t row) {
  float* scores = b.scores + row * kScoreStride;
  const uint64_t* seen = b.seen ? b.seen + row * kSeenWords : nullptr;
  for (int64_t k = 0; k < b.padded; k += kScoreLanes) {
    Vec<float> v = load(scores + k) * splat(b.scale);
    if (b.added) v += load(b.added + row * kScoreStride + k);
    if (seen) v = pick(static_cast<uint32_t>(seen[k / 64] >> k % 64), v, splat(kLowestScore));
    if (k + kScoreLanes > b.keys) {
      uint32_t real = b.keys > k ? (1u << (b.keys - k)) - 1 : 0;
      v = pick(real, v, splat(-__builtin_inff()));
    }
    store(scores + k, v);
  }
}

// All rows, where there is something to hide or to add. Returns what the scores are yet to be
// scaled by.
static inline float mask_rows(const ScoreBlock& b) {
  if (!b.seen && !b.added && b.padded == b.keys) return b.scale;
  for (int64_t i = 0; i < b.rows; ++i) mask_row(b, i);
  return 1;
}

static inline float greatest_of_row(const float* scores, int64_t n, float scale, float top) {
  Vec<float> best[2] = {splat(top), splat(top)};
  for (int64_t k = 0; k < n; k += kScoreLanes) {
    best[0] = greater(load(scores + k) * splat(scale), best[0]);
    if ((k += kScoreLanes) < n) best[1] = greater(load(scores + k) * splat(scale), best[1]);
  }
  return greatest_lane(greater(best[0], best[1]));
}

// A greater score becomes the top only if it is so much greater: most blocks then change no sums,
// and weights are at most exp(4).
constexpr float kTopSlack = 4;

// The rows of BlockKernels::advance by a way to make weights of a row: its scores, how many, their
// scale and the top; it returns the sum of the weights.
template <typename WeighRow>
static inline bool advance_rows(const ScoreBlock& b, float* top, float* total, float* factor,
                                WeighRow weigh_row) {
  float sums[kBlockRows] = {}, before[kBlockRows] = {}, after[kBlockRows] = {};
  float scale = mask_rows(b);
  for (int64_t i = 0; i < b.rows; ++i) {
    float* scores = b.scores + i * kScoreStride;
    float best = greatest_of_row(scores, b.padded, scale, top[i]);
    before[i] = top[i];
    if (best > top[i] + kTopSlack) top[i] = best;
    after[i] = top[i];
    sums[i] = weigh_row(scores, b.padded, scale, top[i]);
  }
  bool changed = false;
  for (int64_t i = 0; i < kBlockRows; i += kScoreLanes) {
    Vec<float> change = exp_of_difference<5>(load(before + i) - load(after + i));
    store(before + i, change);
  }
  for (int64_t i = 0; i < b.rows; ++i) {
    factor[i] = before[i];
    changed |= factor[i] != 1;
    total[i] = total[i] * factor[i] + sums[i];
  }
  return changed;
}

// A vector of weights and one of the changes of their scores.
struct Changed {
  Vec<float> weights, changes;
};

// What a row needs for it; scores are yet to be scaled.
struct ChangeRow {
  ChangeRow(const GradientBlock& b, int64_t row, float scale_of_scores)
      : scores(b.block.scores + row * kScoreStride),
        changes(b.changes + row * kScoreStride),
        raw(b.raw ? b.raw + row * kScoreStride : nullptr),
        scale(scale_of_scores),
        sum(b.sum[row]),
        weight_factor(b.weight_factor[row]),
        along(b.along[row]),
        change_factor(b.change_factor[row]) {}

  template <int Degree>
  Changed at(int64_t k) const {
    Vec<float> x = fma<float>(load(scores + k), splat(scale), splat(-sum));
    Vec<float> weights = splat(weight_factor) * exp_of_difference<Degree>(x);
    Vec<float> change = splat(change_factor) * weights * (load(changes + k) - splat(along));
    if (raw) store(raw + k, change);
    return {weights, change};
  }

  float *scores, *changes, *raw;
  float scale, sum, weight_factor, along, change_factor;
};

[[maybe_unused]] static void rescale_rows(float* rows, int64_t stride, int64_t count,
                                          int64_t columns, const float* factor) {
  for (int64_t i = 0; i < count; ++i, rows += stride) {
    if (factor[i] == 1) continue;
    for (int64_t j = 0; j < columns; j += kScoreLanes) {
      store(rows + j, load(rows + j) * splat(factor[i]));
    }
  }
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
