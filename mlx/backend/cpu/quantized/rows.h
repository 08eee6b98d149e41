// Rows of activations rounded to integers, rows of codes widened to floats, and the panels of both.
// Included only by quantized.isa.cpp.
#pragma once

#include "mlx/backend/cpu/gemm/pack.h"
#include "mlx/backend/cpu/quantized/scales.h"

namespace mlx::core::cpu::MLX_ISA::simd {

static inline Vec<float> magnitude(Vec<float> v) {
  return reinterpret_cast<Vec<float>>(reinterpret_cast<Vec<int32_t>>(v) & 0x7fffffff);
}

static inline Vec<int32_t> round_to_int(Vec<float> v) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec<int32_t>>(_mm512_cvtps_epi32(v));
#elif defined(__AVX2__)
  return reinterpret_cast<Vec<int32_t>>(_mm256_cvtps_epi32(v));
#else
  return reinterpret_cast<Vec<int32_t>>(_mm_cvtps_epi32(v));
#endif
}

// The lanes of a, then those of b, which fit.
static inline Shorts narrow(Vec<int32_t> a, Vec<int32_t> b) {
#if defined(__AVX512F__)
  __m512i mixed = _mm512_packs_epi32(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b));
  __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  return reinterpret_cast<Shorts>(_mm512_maskz_permutexvar_epi64(0xff, order, mixed));
#elif defined(__AVX2__)
  __m256i mixed = _mm256_packs_epi32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b));
  return reinterpret_cast<Shorts>(_mm256_permute4x64_epi64(mixed, 0xd8));
#else
  return reinterpret_cast<Shorts>(
      _mm_packs_epi32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#endif
}

// Even lanes of a block, then the odd ones.
static inline void pair_block(Shorts (&block)[kParts]) {
  Vec<int32_t> even[kParts], odd[kParts];
  for (int i = 0; i < kParts; ++i) {
    auto pairs = reinterpret_cast<Vec<int32_t>>(block[i]);
    even[i] = (pairs << 16) >> 16;
    odd[i] = pairs >> 16;
  }
  if constexpr (kParts == 1) {
    block[0] = narrow(even[0], odd[0]);
  } else {
    for (int i = 0; i < kParts / 2; ++i) {
      block[i] = narrow(even[2 * i], even[2 * i + 1]);
      block[i + kParts / 2] = narrow(odd[2 * i], odd[2 * i + 1]);
    }
  }
}

template <typename T, int Half, int... J>
static inline Vec<T> swap_halves(Vec<T> v, std::integer_sequence<int, J...>) {
  constexpr Vec<int32_t> index = {(J ^ Half)...};
  return __builtin_shuffle(v, index);
}

// The result of `combine` over all lanes, in each lane.
template <typename T, int Half = kLanes<T> / 2, typename Combine>
static inline Vec<T> over_lanes(Vec<T> v, Combine combine) {
  if constexpr (Half == 0) {
    return v;
  } else {
    auto lanes = std::make_integer_sequence<int, kLanes<T>>{};
    return over_lanes<T, Half / 2>(combine(v, swap_halves<T, Half>(v, lanes)), combine);
  }
}

// The largest magnitude of a group in each lane; infinite or no number if any value is.
template <typename E, typename Source>
static inline Vec<float> largest_of(const Source* x, int group) {
  Vec<float> largest = {}, bad = {};
  for (int k = 0; k < group; k += kLanes<float>) {
    Vec<float> v = magnitude(E::load(x + k));
    bad += v * 0.0f;  // zero or no number
    largest = v > largest ? v : largest;
  }
  return over_lanes<float>(largest + bad, [](Vec<float> a, Vec<float> b) {
    return a > b || a != a ? a : b;  // keeps what is no number
  });
}

template <typename E, typename Source>
static bool round_row(const RoundedRow& row) {
  constexpr int lanes = kLanes<float>;
  // With smaller steps the inverse would overflow.
  constexpr float most = 127 * 257, smallest_step = 0x1p-120f;
  auto x = static_cast<const Source*>(row.x);
  for (int64_t begin = 0; begin < row.depth; begin += row.group) {
    float top = largest_of<E>(x + begin, row.group)[0];
    if (!(top - top == 0)) return false;
    float step = top / most > smallest_step ? top / most : smallest_step;
    Vec<float> inverse = splat(1 / step);
    Vec<int32_t> total = {};
    for (int64_t k = begin; k < begin + row.group; k += kCodeBlock) {
      Vec<int32_t> values[kFloatParts] = {};
      int here = (row.group < kCodeBlock ? row.group : kCodeBlock) / lanes;
#pragma GCC unroll 8
      for (int i = 0; i < kFloatParts; ++i) {
        if (i == here) break;
        values[i] = round_to_int(E::load(x + k + i * lanes) * inverse);
        total += values[i];
      }
      Shorts block[kParts];
      for (int i = 0; i < kParts; ++i) block[i] = narrow(values[2 * i], values[2 * i + 1]);
      if (row.paired) pair_block(block);
      if (row.group < kCodeBlock) {
        __builtin_memcpy(row.codes + k, block, kCodeBlock);  // half of it
        continue;
      }
      for (int i = 0; i < kParts; ++i) store<int16_t>(row.codes + k + i * kShorts, block[i]);
    }
    Vec<int32_t> sum =
        over_lanes<int32_t>(total, [](Vec<int32_t> a, Vec<int32_t> b) { return a + b; });
    row.scales[begin / row.group] = step * row.unit;
    row.sums[begin / row.group] = static_cast<float>(sum[0]) * step;
  }
  return true;
}

static void sum_groups(const float* x, int64_t depth, int group, float* sums) {
  constexpr int lanes = kLanes<float>;
  for (int64_t begin = 0; begin < depth; begin += group) {
    Vec<float> total = {};
    for (int k = 0; k < group; k += lanes) total += load(x + begin + k);
    float sum = 0;
    for (int i = 0; i < lanes; ++i) sum += total[i];
    sums[begin / group] = sum;
  }
}

// Codes of one group, in order, with whole blocks written.
template <typename Codes>
static inline void unpack_group(const uint8_t* row, int64_t begin, int group, int16_t* to) {
  for (int k = 0; k < group; k += kCodeBlock) {
    uint8_t copy[kCodeBlock];
    const uint8_t* p = row + (begin + k) * Codes::kBits / 8;
    Shorts codes[kParts];
    Codes::unpack(whole_block<Codes>(p, group - k, copy), codes);
    for (int i = 0; i < kParts; ++i) store<int16_t>(to + k + i * kShorts, codes[i]);
  }
}

template <typename Codes>
static void pack_codes(void* panel, int width, const QuantizedRows& w, int count, int64_t begin,
                       int64_t depth) {
  constexpr int lanes = kLanes<float>;
  auto to = static_cast<uint32_t*>(panel);
  alignas(64) int16_t rows[lanes][128];
  for (int64_t k = begin; k < begin + depth; k += w.group) {
    float* factors = reinterpret_cast<float*>(to + w.group / 2 * width);
    for (int first = 0; first < width; first += lanes) {
      int here = count - first < lanes ? count - first : lanes;
      const void* pairs[lanes];
      for (int i = 0; i < here; ++i) {
        unpack_group<Codes>(w.codes + (first + i) * w.row_bytes, k, w.group, rows[i]);
        pairs[i] = rows[i];
      }
      for (int pair = 0; pair < w.group / 2; pair += lanes) {
        int steps = w.group / 2 - pair < lanes ? w.group / 2 - pair : lanes;
        pack_square<Element<uint32_t>, uint32_t>(to + first, width, pairs, here, pair, steps);
      }
      for (int i = 0; i < lanes; ++i) {
        float scale = 0, bias = 0;
        if (i < here) {
          float entries[kGroupPadding];
          int64_t at = (first + i) * w.row_groups + k / w.group;
          load_scales(w.scale, w.scales, at, 1, entries);
          scale = entries[0];
          if (w.biases) {
            load_scales(w.scale, w.biases, at, 1, entries);
            bias = entries[0];
          }
        }
        factors[first + i] = scale;
        factors[width + first + i] = bias;
      }
    }
    to = reinterpret_cast<uint32_t*>(factors + 2 * width);
  }
}

static void pack_activations(void* panel, const Activations& x, int group, int count, int64_t begin,
                             int64_t depth) {
  auto to = static_cast<uint32_t*>(panel);
  for (int64_t k = begin; k < begin + depth; k += group) {
    float* factors = reinterpret_cast<float*>(to + group / 2 * count);
    for (int r = 0; r < count; ++r) {
      auto from = reinterpret_cast<const char*>(x.codes + r * x.stride + k);
      for (int pair = 0; pair < group / 2; ++pair) {
        __builtin_memcpy(to + pair * count + r, from + 4 * pair, 4);
      }
      factors[r] = x.scales[r * x.group_stride + k / group];
      factors[count + r] = x.sums[r * x.group_stride + k / group];
    }
    to = reinterpret_cast<uint32_t*>(factors + 2 * count);
  }
}

// Codes [begin, begin + count) of a row, whose groups are `scales` and `biases` from that of
// `begin` on: one block at a time, of which codes before `begin` and behind the end are left out.
template <typename Codes>
static void widen_part(const QuantizedRows& w, const float* scales, const float* biases,
                       int64_t begin, int64_t count, float* out) {
  constexpr int lanes = kLanes<float>;
  int64_t end = begin + count, first = begin / w.group;
  for (int64_t k = begin / kCodeBlock * kCodeBlock; k < end; k += kCodeBlock) {
    uint8_t copy[kCodeBlock];
    Vec<float> values[kFloatParts];
    unpack_floats<Codes>(whole_block<Codes>(w.codes + k * Codes::kBits / 8, w.depth - k, copy),
                         values);
    alignas(64) float block[kCodeBlock];
    bool whole = k >= begin && k + kCodeBlock <= end;
    float* to = whole ? out + (k - begin) : block;
#pragma GCC unroll 8
    for (int i = 0; i < kFloatParts; ++i) {
      int64_t group = (k + i * lanes) / w.group - first;
      group = group < 0 ? 0 : group;
      Vec<float> value = values[i] * splat(Codes::kUnit);
      store<float>(to + i * lanes, fma<float>(value, splat(scales[group]), splat(biases[group])));
    }
    if (whole) continue;
    int64_t from = k < begin ? begin : k, to_end = k + kCodeBlock < end ? k + kCodeBlock : end;
    for (int64_t i = from; i < to_end; ++i) out[i - begin] = block[i - k];
  }
}

template <typename Codes>
static void widen_codes(const QuantizedRows& w, int64_t begin, int64_t count, float* out) {
  constexpr int64_t chunk = 1024;
  float scales[chunk / 16 + 2 + kGroupPadding], biases[chunk / 16 + 2 + kGroupPadding] = {};
  for (int64_t k = begin, end = begin + count; k < end;) {
    int64_t next = (k / chunk + 1) * chunk, here = (next < end ? next : end) - k;
    int64_t group = k / w.group;
    int groups = static_cast<int>((k + here - 1) / w.group - group + 1);
    load_scales(w.scale, w.scales, group, groups, scales);
    if (w.biases) load_scales(w.scale, w.biases, group, groups, biases);
    widen_part<Codes>(w, scales, biases, k, here, out + (k - begin));
    k += here;
  }
}

}  // namespace mlx::core::cpu::MLX_ISA::simd
