// Attention forward by blocks. A task takes some rows of queries that share a head of keys. It
// packs as many blocks of keys and values as stay in the second cache, and takes block after block
// of queries past them: scores become weights where they lie, in the first cache, and softmax is
// carried along.
#include "mlx/backend/cpu/attention/blocks.h"

#include <cmath>
#include <optional>
#include <vector>

#include "mlx/backend/cpu/attention/float32.h"
#include "mlx/backend/cpu/gemm/blocked.h"
#include "mlx/backend/cpu/runtime/amx.h"
#include "mlx/backend/cpu/runtime/bf16_dot.h"
#include "mlx/backend/cpu/tile.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

float read_sink(const array& sinks, int64_t head) {
  float sink;
  const char* from =
      sinks.data<char>() + head * sinks.strides(0) * static_cast<int64_t>(sinks.itemsize());
  tile_load(sinks.dtype())(from, 1, &sink, 1, 1);
  return sink;
}

const BlockKernels& block_kernels(Dtype dtype) {
  if (dtype == bfloat16 && has_amx_bf16()) return bf16_amx_block_kernels();
  if (dtype == bfloat16 && has_fast_bf16_dot()) return bf16_dot_block_kernels();
  const BlockTables& tables = float_block_kernels();
  return dtype == float16 ? tables.f16 : dtype == bfloat16 ? tables.bf16 : tables.f32;
}

int64_t packed_rows(const BlockKernels& kernels, int64_t n, int64_t depth) {
  // Panels of floats may be overwritten by a vector past their end.
  return round_up(kernels.whole_keys(n) * kernels.whole_depth(depth) * kernels.size + 64, 64);
}

int64_t packed_lines(const BlockKernels& kernels, int64_t n, int64_t columns) {
  return round_up(kernels.whole_keys(n) * kernels.whole_columns(columns) * kernels.size, 64);
}

ScoreMasks::ScoreMasks(const AttentionShape& shape, const array* mask)
    : shape_(shape),
      hiding_(mask && mask->dtype() == bool_ ? mask : nullptr),
      added_(hiding_ ? nullptr : mask) {}

const float* ScoreMasks::load(const QueryRows& rows, int64_t key, int64_t keys, float* to) const {
  int64_t stride = broadcast_stride(*added_, 3),
          itemsize = static_cast<int64_t>(added_->itemsize());
  const void* lines[kBlockRows];
  shape_.find_rows(*added_, rows, lines);
  auto load = tile_load(added_->dtype());
  for (int64_t i = 0; i < rows.count; i++) {
    load(static_cast<const char*>(lines[i]) + key * stride * itemsize, stride,
         to + i * kScoreStride, 1, keys);
  }
  return to;
}

namespace {

constexpr int64_t task_rows = 2048;          // at most
constexpr int64_t packed_bytes = 768 << 10;  // of keys and values: a part of the second cache

class BlockAttention {
 public:
  BlockAttention(const AttentionSpec& spec, const AttentionInputs& in, std::vector<array>& outputs)
      : shape_(spec, in),
        kernels_(block_kernels(in.queries.dtype())),
        scale_(spec.scale),
        q_(with_dense_rows(in.queries)),
        k_(with_dense_rows(in.keys)),
        v_(with_dense_rows(in.values)),
        masks_(shape_, in.mask),
        sinks_(in.sinks),
        out_(outputs[0]),
        sums_(outputs[1]),
        columns_(round_up(shape_.value_width, 16)) {
    block_ = even_block(shape_.keys, kBlockKeys, kernels_.key_unit);
    key_bytes_ = packed_rows(kernels_, block_, shape_.width);
    value_bytes_ = packed_lines(kernels_, block_, shape_.value_width);
    int64_t blocks = std::max<int64_t>(1, (shape_.keys + block_ - 1) / block_);
    held_ = std::clamp<int64_t>(packed_bytes / (key_bytes_ + value_bytes_), 1, blocks);
    // The bits do not depend on how rows are divided, so it may be by threads.
    int64_t share = shape_.batches * shape_.key_heads * shape_.rows / (4 * num_threads());
    rows_ =
        std::clamp<int64_t>(share / kernels_.rows, 4, task_rows / kernels_.rows) * kernels_.rows;
    rows_ = std::min(rows_, round_up(shape_.rows, kernels_.rows));
  }

  void run() const {
    int64_t blocks = (shape_.rows + rows_ - 1) / rows_;
    int64_t work = rows_ * shape_.keys * (shape_.width + shape_.value_width);
    int64_t grain = std::max<int64_t>(1, kParallelWork / std::max<int64_t>(1, work));
    parallel_for(shape_.batches * shape_.key_heads * blocks, grain,
                 [&](int64_t begin, int64_t end) {
                   std::optional<AmxTiles> tiles;
                   if (kernels_.tiles) tiles.emplace();
                   BlockMemory<Buffers> memory([this](Buffers& b, auto f) { each_buffer(b, f); });
                   for (int64_t task = begin; task < end; task++) {
                     int64_t first = task % blocks * rows_;
                     attend({task / blocks / shape_.key_heads, task / blocks % shape_.key_heads,
                             first, std::min(rows_, shape_.rows - first)},
                            memory.buffers());
                   }
                 });
  }

 private:
  struct Buffers {
    char *keys, *values, *queries;  // packed: the blocks that are held, and a block of rows
    float *results, *top, *total;   // of all rows
    float *scores, *added;          // of a block
  };

  template <typename F>
  void each_buffer(Buffers& b, F f) const {
    constexpr int64_t floats = sizeof(float);
    f(b.keys, held_ * key_bytes_);
    f(b.values, held_ * value_bytes_);
    f(b.queries, packed_rows(kernels_, kBlockRows, shape_.width));
    f(b.results, (rows_ + kBlockRows) * columns_ * floats);
    f(b.top, rows_ * floats);
    f(b.total, rows_ * floats);
    f(b.scores, kBlockRows * kScoreStride * floats);
    f(b.added, masks_.added() ? kBlockRows * kScoreStride * floats : 0);
  }

  void attend(const QueryRows& rows, const Buffers& b) const {
    std::vector<VisibleKeys> visible;
    int64_t end = 0;
    for (int64_t row = 0; row < rows.count; row += kernels_.rows) {
      visible.push_back(masks_.visible(block_of(rows, row)));
      end = std::max(end, visible.back().end());
    }
    std::fill_n(b.results, round_up(rows.count, kBlockRows) * columns_, 0.0f);
    std::fill_n(b.top, rows.count, lowest_float);
    std::fill_n(b.total, rows.count, 0.0f);
    for (int64_t key = 0; key < end; key += held_ * block_) {
      KeyRows keys{rows.batch, rows.head, key, std::min(held_ * block_, end - key)};
      pack(keys, b);
      for (int64_t row = 0; row < rows.count; row += kernels_.rows) {
        add_keys(block_of(rows, row), visible[row / kernels_.rows], keys, row, b);
      }
    }
    for (int64_t row = 0; row < rows.count; row += kernels_.rows) {
      finish(block_of(rows, row), row, b);
    }
  }

  QueryRows block_of(const QueryRows& rows, int64_t row) const {
    return {rows.batch, rows.head, rows.first + row,
            std::min<int64_t>(kernels_.rows, rows.count - row)};
  }

  void pack(const KeyRows& keys, const Buffers& b) const {
    const void* rows[kBlockKeys];
    for (int64_t key = 0; key < keys.count; key += block_) {
      KeyRows block{keys.batch, keys.head, keys.first + key, std::min(block_, keys.count - key)};
      find_rows(k_, block, rows);
      kernels_.pack_keys(b.keys + key / block_ * key_bytes_, rows, block.count, shape_.width);
      find_rows(v_, block, rows);
      kernels_.pack_lines(b.values + key / block_ * value_bytes_, rows, block.count,
                          shape_.value_width);
    }
  }

  /** Takes a block of rows, at `row` of the task, past the keys that are packed. */
  void add_keys(const QueryRows& rows, const VisibleKeys& visible, const KeyRows& keys, int64_t row,
                const Buffers& b) const {
    const void* lines[kBlockRows];
    shape_.find_rows(q_, rows, lines);
    kernels_.pack_queries(b.queries, lines, rows.count, shape_.width);
    float factor[kBlockRows];
    uint64_t words[kBlockRows * kSeenWords];
    int64_t end = std::min(visible.end() - keys.first, keys.count);
    for (int64_t key = 0; key < end; key += block_) {
      int64_t packed = std::min(block_, keys.count - key), count = std::min(block_, end - key);
      Seen seen = visible.find(keys.first + key, count, words);
      if (seen == Seen::nothing) continue;
      BlockProduct product = {};
      product.rows = rows.count;
      product.packed_keys = packed;
      product.left = b.queries;
      product.right = b.keys + key / block_ * key_bytes_;
      product.out = b.scores;
      product.stride = kScoreStride;
      product.cols = kernels_.whole_keys(count);
      product.depth = shape_.width;
      kernels_.score(product);
      ScoreBlock block = {b.scores, rows.count, count, product.cols, scale_, nullptr, nullptr};
      if (seen == Seen::something) block.seen = words;
      if (masks_.added()) block.added = masks_.load(rows, keys.first + key, count, b.added);
      float* results = b.results + row * columns_;
      if (kernels_.advance(block, b.top + row, b.total + row, factor)) {
        kernels_.rescale(results, columns_, rows.count, columns_, factor);
      }
      product.left = b.scores;
      product.right = b.values + key / block_ * value_bytes_;
      product.out = results;
      product.stride = columns_;
      product.depth = product.cols;
      product.cols = shape_.value_width;
      kernels_.add_lines(product);
    }
  }

  void finish(const QueryRows& rows, int64_t row, const Buffers& b) const {
    float *top = b.top + row, *total = b.total + row, *results = b.results + row * columns_;
    float factor[kBlockRows];
    int64_t at = shape_.run_of(rows.batch, rows.head) + rows.first;
    for (int64_t i = 0; i < rows.count; i++) {
      float share = 1;
      if (sinks_) {
        float sink = read_sink(*sinks_, shape_.head_of(rows.head, rows.first + i));
        float most = std::max(top[i], sink);
        share = std::exp(top[i] - most);
        total[i] = total[i] * share + std::exp(sink - most);
        top[i] = most;
      }
      factor[i] = shape_.keys == 0 ? 0 : share / total[i];
      sums_.data<float>()[at + i] = top[i] + std::log(total[i]);
    }
    kernels_.rescale(results, columns_, rows.count, columns_, factor);
    auto store = tile_store(out_.dtype());
    for (int64_t i = 0; i < rows.count; i++) {
      store(
          results + i * columns_, 1,
          out_.data<char>() + (at + i) * shape_.value_width * static_cast<int64_t>(out_.itemsize()),
          1, shape_.value_width);
    }
  }

  AttentionShape shape_;
  const BlockKernels& kernels_;
  float scale_;
  array q_, k_, v_;
  ScoreMasks masks_;
  const array* sinks_;
  array &out_, &sums_;
  int64_t columns_;                  // of results, padded
  int64_t block_, held_;             // keys of a block, blocks that are packed at a time
  int64_t key_bytes_, value_bytes_;  // of a packed block
  int64_t rows_;                     // of a task
};

}  // namespace

void attend_blocks(const AttentionSpec& spec, const AttentionInputs& in,
                   std::vector<array>& outputs) {
  BlockAttention(spec, in, outputs).run();
}

}  // namespace mlx::core::cpu
