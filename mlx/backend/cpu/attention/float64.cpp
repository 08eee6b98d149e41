// Attention in float64: each task takes a head of keys and goes through its rows block by block.
#include "mlx/backend/cpu/attention/float64.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "mlx/backend/cpu/attention/shape.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/gemm/gemm.h"
#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/core/function_ref.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t block_rows = 64;
constexpr double lowest = std::numeric_limits<double>::lowest();

/** A row-major matrix, or its transpose. */
struct Matrix {
  const double* data;
  int64_t row_stride, col_stride = 1;

  Matrix transposed() const { return {data, col_stride, row_stride}; }
};

/** out = alpha * a b, or added to out. */
void multiply(Matrix a, Matrix b, double* out, int64_t m, int64_t n, int64_t k, double alpha,
              bool adds = false) {
  Gemm product;
  product.dtype = float64;
  product.m = m;
  product.n = n;
  product.k = k;
  product.a = {a.data, a.row_stride, a.col_stride};
  product.b = {b.data, b.col_stride, b.row_stride};
  product.out = out;
  product.out_row_stride = n;
  product.alpha = alpha;
  if (adds) {
    product.c = out;
    product.c_row_stride = n;
    product.c_col_stride = 1;
  }
  gemm(product);
}

class Float64Attention {
 public:
  Float64Attention(const AttentionSpec& spec, const AttentionInputs& in)
      : shape_(spec, in),
        scale_(spec.scale),
        mask_(in.mask),
        q_(contiguous(in.queries)),
        k_(contiguous(in.keys)),
        v_(contiguous(in.values)) {}

  void forward(const array* sinks, array& out, array& sums) const {
    each_head([&](int64_t batch, int64_t head) {
      Scratch scores(block_rows * shape_.keys * sizeof(double));
      for (int64_t row = 0; row < shape_.rows; row += block_rows) {
        int64_t count = std::min(block_rows, shape_.rows - row);
        int64_t at = shape_.run_of(batch, head) + row;
        score(batch, head, row, count, scores.as<double>());
        for (int64_t i = 0; i < count; i++) {
          double* row_sum = sums.data<double>() + at + i;
          *row_sum = weigh(sinks ? sink_of(*sinks, head, row + i) : nullptr,
                           scores.as<double>() + i * shape_.keys);
        }
        multiply({scores.as<double>(), shape_.keys}, values_of(batch, head),
                 out.data<double>() + at * shape_.value_width, count, shape_.value_width,
                 shape_.keys, 1);
      }
    });
  }

  struct Gradients {
    double *queries, *keys, *values, *scores, *sinks;
  };

  void backward(const AttentionInputs& in, const Gradients& grads) const {
    array cotangent = contiguous(*in.cotangent), result = contiguous(*in.result);
    array sums = contiguous(*in.logsumexp);
    Scratch by_row(std::max<int64_t>(1, shape_.batches * shape_.key_heads * shape_.rows) *
                   sizeof(double));
    each_head([&](int64_t batch, int64_t head) {
      Scratch weights(block_rows * shape_.keys * sizeof(double));
      Scratch changes(block_rows * shape_.keys * sizeof(double));
      int64_t of_keys = (batch * shape_.key_heads + head) * shape_.keys;
      double* dk = grads.keys + of_keys * shape_.width;
      double* dv = grads.values + of_keys * shape_.value_width;
      std::fill_n(dk, shape_.keys * shape_.width, 0.0);
      std::fill_n(dv, shape_.keys * shape_.value_width, 0.0);
      for (int64_t row = 0; row < shape_.rows; row += block_rows) {
        int64_t count = std::min(block_rows, shape_.rows - row);
        int64_t at = shape_.run_of(batch, head) + row;
        Matrix p{weights.as<double>(), shape_.keys}, ds{changes.as<double>(), shape_.keys};
        Matrix q{q_.data<double>() + at * shape_.width, shape_.width};
        Matrix dy{cotangent.data<double>() + at * shape_.value_width, shape_.value_width};
        score(batch, head, row, count, weights.as<double>());
        multiply(dy, values_of(batch, head).transposed(), changes.as<double>(), count, shape_.keys,
                 shape_.value_width, 1);
        for (int64_t i = 0; i < count; i++) {
          double along = 0;
          const double* y = result.data<double>() + (at + i) * shape_.value_width;
          for (int64_t j = 0; j < shape_.value_width; j++) {
            along += y[j] * dy.data[i * shape_.value_width + j];
          }
          double sum = sums.data<double>()[at + i];
          if (in.sinks) {
            by_row.as<double>()[at + i] =
                -along * std::exp(*sink_of(*in.sinks, head, row + i) - sum);
          }
          change(batch, head, row + i, sum, along, weights.as<double>() + i * shape_.keys,
                 changes.as<double>() + i * shape_.keys);
        }
        if (grads.scores) {
          std::copy_n(ds.data, count * shape_.keys, grads.scores + at * shape_.keys);
        }
        multiply(ds, keys_of(batch, head), grads.queries + at * shape_.width, count, shape_.width,
                 shape_.keys, scale_);
        multiply(ds.transposed(), q, dk, shape_.keys, shape_.width, count, scale_, true);
        multiply(p.transposed(), dy, dv, shape_.keys, shape_.value_width, count, 1, true);
      }
    });
    for (int64_t h = 0; grads.sinks && h < shape_.heads; h++) {
      grads.sinks[h] = 0;
      for (int64_t b = 0; b < shape_.batches; b++) {
        const double* of_head = by_row.as<double>() + (b * shape_.heads + h) * shape_.length;
        for (int64_t i = 0; i < shape_.length; i++) grads.sinks[h] += of_head[i];
      }
    }
  }

 private:
  void each_head(FunctionRef<void(int64_t, int64_t)> f) const {
    parallel_for(shape_.batches * shape_.key_heads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) f(i / shape_.key_heads, i % shape_.key_heads);
    });
  }

  Matrix keys_of(int64_t batch, int64_t head) const {
    int64_t at = (batch * shape_.key_heads + head) * shape_.keys;
    return {k_.data<double>() + at * shape_.width, shape_.width};
  }

  Matrix values_of(int64_t batch, int64_t head) const {
    int64_t at = (batch * shape_.key_heads + head) * shape_.keys;
    return {v_.data<double>() + at * shape_.value_width, shape_.value_width};
  }

  const double* sink_of(const array& sinks, int64_t head, int64_t row) const {
    return sinks.data<double>() + shape_.head_of(head, row) * sinks.strides(0);
  }

  bool is_hidden(const char* mask_row, int64_t key, int64_t seen) const {
    bool masked =
        mask_row && mask_->dtype() == bool_ && !mask_row[key * broadcast_stride(*mask_, 3)];
    return masked || key >= seen;
  }

  const char* mask_row(int64_t batch, int64_t head, int64_t row) const {
    return mask_ ? shape_.row_of(*mask_, batch, head, row) : nullptr;
  }

  /** Scores of a block, the lowest number where they are hidden. */
  void score(int64_t batch, int64_t head, int64_t first, int64_t count, double* scores) const {
    int64_t at = shape_.run_of(batch, head) + first;
    multiply({q_.data<double>() + at * shape_.width, shape_.width},
             keys_of(batch, head).transposed(), scores, count, shape_.keys, shape_.width, scale_);
    for (int64_t i = 0; i < count; i++, scores += shape_.keys) {
      const char* mask = mask_row(batch, head, first + i);
      int64_t seen = shape_.seen_by(first + i);
      for (int64_t j = 0; j < shape_.keys; j++) {
        if (is_hidden(mask, j, seen)) {
          scores[j] = lowest;
        } else if (mask && mask_->dtype() != bool_) {
          scores[j] += reinterpret_cast<const double*>(mask)[j * broadcast_stride(*mask_, 3)];
        }
      }
    }
  }

  /** Turns a row of scores into weights; returns the logarithm of their sum. */
  double weigh(const double* sink, double* row) const {
    double top = sink ? *sink : lowest, sum = 0;
    for (int64_t j = 0; j < shape_.keys; j++) top = row[j] > top ? row[j] : top;
    for (int64_t j = 0; j < shape_.keys; j++) sum += row[j] = std::exp(row[j] - top);
    if (sink) sum += std::exp(*sink - top);
    for (int64_t j = 0; j < shape_.keys; j++) row[j] /= sum;
    return top + std::log(sum);
  }

  /** Turns a row of scores into weights, and what the weights' changes do into what scores' do. */
  void change(int64_t batch, int64_t head, int64_t row, double sum, double along, double* weights,
              double* changes) const {
    const char* mask = mask_row(batch, head, row);
    int64_t seen = shape_.seen_by(row);
    bool is_blind = sum <= lowest / 2 && sum >= lowest;
    for (int64_t j = 0; j < shape_.keys; j++) {
      weights[j] = is_blind ? 1.0 / static_cast<double>(shape_.keys) : std::exp(weights[j] - sum);
      changes[j] = is_hidden(mask, j, seen) ? 0 : weights[j] * (changes[j] - along);
    }
  }

  AttentionShape shape_;
  double scale_;
  const array* mask_;
  array q_, k_, v_;
};

}  // namespace

void attend_float64(const AttentionSpec& spec, const AttentionInputs& in,
                    std::vector<array>& outputs) {
  Float64Attention(spec, in).forward(in.sinks, outputs[0], outputs[1]);
}

void attend_float64_backward(const AttentionSpec& spec, const AttentionInputs& in,
                             bool mask_gradient, std::vector<array>& outputs) {
  Float64Attention(spec, in).backward(
      in, {outputs[0].data<double>(), outputs[1].data<double>(), outputs[2].data<double>(),
           mask_gradient ? outputs[3].data<double>() : nullptr,
           in.sinks ? outputs.back().data<double>() : nullptr});
}

}  // namespace mlx::core::cpu
