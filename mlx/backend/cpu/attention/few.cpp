// Attention of few rows, as in decoding: bound by the memory that keys and values lie in. Heads and
// stretches of keys are spread over the threads; each part is read once, where it lies, and the
// results of the parts are merged in order.
#include <cmath>

#include "mlx/backend/cpu/attention/blocks.h"
#include "mlx/backend/cpu/attention/float32.h"
#include "mlx/backend/cpu/attention/kernels.h"
#include "mlx/backend/cpu/gemm/blocked.h"
#include "mlx/backend/cpu/gemm/skinny.h"
#include "mlx/backend/cpu/tile.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t few_rows = 16;
constexpr int64_t part_keys = 128;    // at least
constexpr int64_t enough_parts = 64;  // for any number of threads; more only cost merging
constexpr int64_t step_keys = 256;    // whose scores are made at a time

const SkinnyKernels& streaming_kernels(Dtype dtype) {
  const SkinnyTables& kernels = skinny_kernels();
  return dtype == float16 ? kernels.f16 : dtype == bfloat16 ? kernels.bf16 : kernels.f32;
}

class FewAttention {
 public:
  FewAttention(const AttentionSpec& spec, const AttentionInputs& in, std::vector<array>& outputs)
      : shape_(spec, in),
        scale_(spec.scale),
        stream_(streaming_kernels(in.queries.dtype())),
        q_(with_dense_rows(in.queries)),
        k_(with_dense_rows(in.keys)),
        v_(with_dense_rows(in.values)),
        mask_(in.mask),
        sinks_(in.sinks),
        out_(outputs[0]),
        sums_(outputs[1]),
        heads_(shape_.batches * shape_.key_heads) {
    int64_t most = std::max<int64_t>(1, shape_.keys / part_keys);
    parts_ = std::clamp<int64_t>(enough_parts / std::max<int64_t>(1, heads_), 1, most);
    part_floats_ = shape_.rows * (shape_.value_width + 2);
  }

  void run() const {
    int64_t work = shape_.rows * shape_.keys * (shape_.width + shape_.value_width) / parts_;
    int64_t grain = std::max<int64_t>(1, kParallelWork / 8 / std::max<int64_t>(1, work));
    Scratch parts(heads_ * parts_ * part_floats_ * sizeof(float));
    parallel_for(heads_ * parts_, grain, [&](int64_t begin, int64_t end) {
      Scratch memory((shape_.rows * (shape_.width + step_keys + shape_.value_width) + step_keys) *
                     sizeof(float));
      for (int64_t i = begin; i < end; i++) {
        attend(i, parts.as<float>() + i * part_floats_, memory.as<float>());
      }
    });
    parallel_for(heads_, std::max<int64_t>(1, grain * 64), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        merge(i, parts.as<float>() + i * parts_ * part_floats_);
      }
    });
  }

 private:
  /** Results of the rows, then their greatest scores, then the sums of their weights. */
  struct Part {
    float *results, *top, *total;
  };

  Part part_at(float* at) const {
    float* top = at + shape_.rows * shape_.value_width;
    return {at, top, top + shape_.rows};
  }

  static const void* row_at(const array& a, int64_t head, int64_t key_heads, int64_t row) {
    int64_t at =
        head / key_heads * a.strides(0) + head % key_heads * a.strides(1) + row * a.strides(2);
    return a.data<char>() + at * static_cast<int64_t>(a.itemsize());
  }

  void attend(int64_t task, float* results, float* memory) const {
    int64_t head = task / parts_, part = task % parts_, d = shape_.width, e = shape_.value_width;
    float *queries = memory, *scores = queries + shape_.rows * d;
    float *added = scores + shape_.rows * step_keys, *mask = added + shape_.rows * e;
    Part to = part_at(results);
    std::fill_n(to.results, shape_.rows * e, 0.0f);
    std::fill_n(to.top, shape_.rows, lowest_float);
    std::fill_n(to.total, shape_.rows, 0.0f);
    for (int64_t i = 0; i < shape_.rows; i++) {
      tile_load(q_.dtype())(shape_.row_of(q_, head / shape_.key_heads, head % shape_.key_heads, i),
                            1, queries + i * d, 1, d);
    }
    for (int64_t i = 0; i < shape_.rows * d; i++) queries[i] *= scale_;
    int64_t last = (part + 1) * shape_.keys / parts_;
    for (int64_t key = part * shape_.keys / parts_; key < last; key += step_keys) {
      int64_t keys = std::min(step_keys, last - key);
      SkinnyProduct product = {};
      product.x = queries;
      product.x_stride = d;
      product.rows = static_cast<int>(shape_.rows);
      product.w = row_at(k_, head, shape_.key_heads, key);
      product.w_stride = k_.strides(2);
      product.depth = d;
      product.count = keys;
      product.sums = scores;
      product.sums_stride = keys;
      stream_.dots(product);
      product.x = scores;
      product.x_stride = keys;
      product.w = row_at(v_, head, shape_.key_heads, key);
      product.w_stride = v_.strides(2);
      product.depth = keys;
      product.count = e;
      product.sums = added;
      product.sums_stride = e;
      advance(head, key, keys, scores, mask, to);
      stream_.lines(product);
      attention_table().add(to.results, added, shape_.rows * e);
    }
  }

  /** Turns scores into weights, and carries what there is along. */
  void advance(int64_t head, int64_t key, int64_t keys, float* scores, float* mask,
               const Part& to) const {
    for (int64_t i = 0; i < shape_.rows; i++, scores += keys) {
      int64_t seen = std::clamp<int64_t>(shape_.seen_by(i) - key, 0, keys);
      std::fill(scores + seen, scores + keys, lowest_float);
      if (mask_) apply_mask(head, i, key, keys, scores, mask);
      float factor = attention_table().advance_row(scores, keys, to.top + i, to.total + i);
      float* results = to.results + i * shape_.value_width;
      if (factor != 1) {
        for (int64_t j = 0; j < shape_.value_width; j++) results[j] *= factor;
      }
    }
  }

  void apply_mask(int64_t head, int64_t row, int64_t key, int64_t keys, float* scores,
                  float* buffer) const {
    int64_t stride = broadcast_stride(*mask_, 3);
    const char* from =
        shape_.row_of(*mask_, head / shape_.key_heads, head % shape_.key_heads, row) +
        key * stride * static_cast<int64_t>(mask_->itemsize());
    if (mask_->dtype() == bool_) {
      auto* words = reinterpret_cast<uint32_t*>(buffer);
      for (int64_t j = 0; j < keys; j++) words[j] = static_cast<uint8_t>(from[j * stride]);
      attention_table().hide(scores, words, keys);
    } else {
      tile_load(mask_->dtype())(from, stride, buffer, 1, keys);
      attention_table().add(scores, buffer, keys);
    }
  }

  void merge(int64_t head, float* parts) const {
    Part first = part_at(parts);
    for (int64_t i = 0; i < shape_.rows; i++) {
      float sink = sinks_ ? read_sink(*sinks_, shape_.head_of(head % shape_.key_heads, i)) : 0;
      float top = sinks_ ? std::max(sink, lowest_float) : lowest_float;
      for (int64_t p = 0; p < parts_; p++) {
        top = std::max(top, part_at(parts + p * part_floats_).top[i]);
      }
      float total = sinks_ ? std::exp(sink - top) : 0;
      float* results = first.results + i * shape_.value_width;
      for (int64_t p = 0; p < parts_; p++) {
        Part part = part_at(parts + p * part_floats_);
        float factor = std::exp(part.top[i] - top);
        total += part.total[i] * factor;
        const float* added = part.results + i * shape_.value_width;
        for (int64_t j = 0; j < shape_.value_width; j++) {
          results[j] = (p == 0 ? 0 : results[j]) + added[j] * factor;
        }
      }
      float inverse = shape_.keys == 0 ? 0 : 1 / total;
      for (int64_t j = 0; j < shape_.value_width; j++) results[j] *= inverse;
      sums_.data<float>()[head * shape_.rows + i] = top + std::log(total);
    }
    int64_t n = shape_.rows * shape_.value_width;
    tile_store(out_.dtype())(first.results, 1,
                             out_.data<char>() + head * n * static_cast<int64_t>(out_.itemsize()),
                             1, n);
  }

  AttentionShape shape_;
  float scale_;
  const SkinnyKernels& stream_;
  array q_, k_, v_;
  const array *mask_, *sinks_;
  array &out_, &sums_;
  int64_t heads_, parts_, part_floats_;
};

}  // namespace

bool is_few(const AttentionInputs& in) {
  return in.queries.shape(1) / in.keys.shape(1) * in.queries.shape(2) <= few_rows;
}

void attend_few(const AttentionSpec& spec, const AttentionInputs& in, std::vector<array>& outputs) {
  FewAttention(spec, in, outputs).run();
}

}  // namespace mlx::core::cpu
