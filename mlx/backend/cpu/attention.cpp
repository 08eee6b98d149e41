// Attention on the CPU: each task takes a block of queries, whose scores against all keys stay in
// cache between the two products. Under a causal mask keys behind the block are not multiplied.
#include "mlx/primitives/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "mlx/backend/cpu/attention/float64.h"
#include "mlx/backend/cpu/attention/shape.h"
#include "mlx/backend/cpu/attention_kernels.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/gemm/gemm.h"
#include "mlx/backend/cpu/runtime/parallel.h"
#include "mlx/backend/cpu/softmax_kernels.h"
#include "mlx/backend/cpu/tile.h"

namespace mlx::core {

namespace {

using namespace cpu;

/** Scores of a block, and the most rows it has. */
constexpr int64_t block_scores = 1 << 18, max_rows = 128, min_rows = 16;

class Attender {
 public:
  Attender(const AttentionSpec& spec, const array& queries, const std::vector<array>& inputs,
           array& out, array& sums)
      : spec_(spec),
        sinks_(spec.has_sinks ? &inputs.back() : nullptr),
        sums_(sums),
        q_(queries),
        k_(inputs[1]),
        v_(inputs[2]),
        mask_(spec.has_mask ? &inputs[3] : nullptr),
        out_(out),
        dtype_(out.dtype()),
        itemsize_(out.itemsize()),
        length_(q_.shape(2)),
        keys_(k_.shape(2)),
        rows_(q_.shape(1) / k_.shape(1) * length_),
        block_(std::clamp(block_scores / std::max<int64_t>(1, keys_), min_rows, max_rows)) {}

  void run() const {
    int64_t heads = k_.shape(1);
    int64_t blocks = (rows_ + block_ - 1) / block_;
    parallel_for(q_.shape(0) * heads * blocks, 1, [&](int64_t begin, int64_t end) {
      int64_t size = std::min(block_, rows_) * keys_;
      std::unique_ptr<char[]> scores(new char[std::max<int64_t>(1, size) * itemsize_]);
      std::unique_ptr<float[]> buffers(new float[2 * keys_ + 1]);
      for (int64_t task = begin; task < end; task++) {
        int64_t first = task % blocks * block_;
        Block block{task / blocks / heads, task / blocks % heads, first,
                    std::min(block_, rows_ - first), keys_};
        if (spec_.causal) block.keys = visible_keys(block);
        attend(block, scores.get(), buffers.get());
      }
    });
  }

 private:
  /** Some rows of all queries that share one head of keys. */
  struct Block {
    int64_t batch, head, first, count, keys;
  };

  /** Keys before the end of what a query of this position in its head sees; may be below 1. */
  int64_t seen_by(int64_t position) const { return position + 1 + keys_ - length_; }

  /** Keys that any row of the block needs; all of them if a row sees none. */
  int64_t visible_keys(const Block& block) const {
    int64_t last = block.first + block.count - 1;
    bool one_head = block.first / length_ == last / length_;
    if (seen_by(one_head ? block.first % length_ : 0) < 1) return keys_;
    return seen_by(one_head ? last % length_ : length_ - 1);
  }

  void attend(const Block& block, char* scores, float* buffers) const {
    int64_t row = (block.batch * k_.shape(1) + block.head) * rows_ + block.first;
    Gemm product;
    product.dtype = dtype_;
    product.m = block.count;
    product.n = block.keys;
    product.k = q_.shape(3);
    product.a = {q_.data<char>() + row * product.k * itemsize_, product.k, 1};
    product.b = {head_of(k_, block), k_.strides(2), k_.strides(3)};
    product.out = scores;
    product.out_row_stride = block.keys;
    product.alpha = spec_.scale;
    gemm(product);
    for (int64_t i = 0; block.keys > 0 && i < block.count; i++) {
      weigh(block, i, scores + i * block.keys * itemsize_, buffers, row + i);
    }
    product.n = v_.shape(3);
    product.k = block.keys;
    product.a = {scores, block.keys, 1};
    product.b = {head_of(v_, block), v_.strides(3), v_.strides(2)};
    product.out = out_.data<char>() + row * product.n * itemsize_;
    product.out_row_stride = product.n;
    product.alpha = 1;
    gemm(product);
  }

  const char* head_of(const array& a, const Block& block) const {
    return a.data<char>() + (block.batch * a.strides(0) + block.head * a.strides(1)) * itemsize_;
  }

  /** Turns row i of the block's scores into weights. */
  void weigh(const Block& block, int64_t i, char* scores, float* buffers, int64_t at) const {
    bool direct = dtype_ == float32;
    float* row = direct ? reinterpret_cast<float*>(scores) : buffers;
    if (!direct) tile_load(dtype_)(scores, 1, row, 1, block.keys);
    int64_t seen = block.keys;
    if (spec_.causal) {
      seen = std::min(seen, seen_by((block.first + i) % length_));
      if (seen < 1) {  // sees no key: the mean of all
        std::fill_n(row, block.keys, std::numeric_limits<float>::lowest());
        seen = block.keys;
      }
    } else if (mask_) {
      apply_mask(block, block.first + i, row, buffers + keys_);
    }
    float top = *std::max_element(row, row + seen), sum = 0;
    for (int64_t j = 0; j < seen; j++) sum += std::exp(row[j] - top);
    softmax_table().f32.rows(row, row, seen, 1);
    float& total = sums_.data<float>()[at];
    total = top + std::log(sum);
    if (sinks_) {
      float sink;
      int64_t head = block.head * (rows_ / length_) + (block.first + i) / length_;
      tile_load(dtype_)(sinks_->data<char>() + head * sinks_->strides(0) * itemsize_, 1, &sink, 1,
                        1);
      float share = 1 / (1 + std::exp(sink - total));
      for (int64_t j = 0; j < seen; j++) row[j] *= share;
      total = std::max(sink, total) + std::log1p(std::exp(-std::abs(sink - total)));
    }
    std::fill(row + seen, row + block.keys, 0.0f);
    if (!direct) tile_store(dtype_)(row, 1, scores, 1, block.keys);
  }

  void apply_mask(const Block& block, int64_t index, float* row, float* buffer) const {
    int64_t head = block.head * (rows_ / length_) + index / length_;
    int64_t offset = block.batch * broadcast_stride(*mask_, 0) +
                     head * broadcast_stride(*mask_, 1) +
                     index % length_ * broadcast_stride(*mask_, 2);
    const char* mask = mask_->data<char>() + offset * static_cast<int64_t>(mask_->itemsize());
    if (mask_->dtype() == bool_) {
      auto* bytes = reinterpret_cast<uint8_t*>(buffer);
      tile_copy(bool_)(mask, broadcast_stride(*mask_, 3), bytes, 1, block.keys);
      attention_table().hide(row, bytes, block.keys);
    } else {
      tile_load(dtype_)(mask, broadcast_stride(*mask_, 3), buffer, 1, block.keys);
      attention_table().add(row, buffer, block.keys);
    }
  }

  const AttentionSpec& spec_;
  const array* sinks_;
  array& sums_;
  const array &q_, &k_, &v_;
  const array* mask_;
  array& out_;
  Dtype dtype_;
  int64_t itemsize_, length_, keys_, rows_, block_;
};

}  // namespace

void Attention::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  for (array& out : outputs) out.set_data(allocator::malloc(out.nbytes()));
  if (outputs[1].size() == 0) return;
  AttentionInputs in(spec_, inputs);
  if (in.queries.dtype() == float64) return attend_float64(spec_, in, outputs);
  array queries = contiguous(inputs[0]);
  Attender(spec_, queries, inputs, outputs[0], outputs[1]).run();
}

void AttentionBackward::eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) {
  for (array& out : outputs) out.set_data(allocator::malloc(out.nbytes()));
  attend_float64_backward(spec_, AttentionInputs(spec_, inputs), mask_gradient_, outputs);
}

}  // namespace mlx::core
