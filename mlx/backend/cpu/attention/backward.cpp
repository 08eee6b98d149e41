// Attention backward by blocks. A task owns a stretch of keys of one head: it goes through all rows
// of queries, makes weights again from scores and the row statistics, and adds up the gradients of
// its keys and values. Gradients of queries are parts, one for each stretch, that are added in
// order: the stretches follow from the shapes, so the bits are the same for any number of threads.
#include <cmath>
#include <optional>
#include <vector>

#include "mlx/backend/cpu/attention/blocks.h"
#include "mlx/backend/cpu/attention/float32.h"
#include "mlx/backend/cpu/attention/kernels.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/gemm/blocked.h"
#include "mlx/backend/cpu/gemm/kernels.h"
#include "mlx/backend/cpu/runtime/amx.h"
#include "mlx/backend/cpu/tile.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t enough_tasks = 32, most_stretches = 8, shortest_stretch = 512;
constexpr int64_t most_keys = 128;  // of a block

class BlockGradients {
 public:
  BlockGradients(const AttentionSpec& spec, const AttentionInputs& in, bool mask_gradient,
                 std::vector<array>& outputs)
      : shape_(spec, in),
        kernels_(block_kernels(in.queries.dtype())),
        scale_(spec.scale),
        q_(with_dense_rows(in.queries)),
        k_(with_dense_rows(in.keys)),
        v_(with_dense_rows(in.values)),
        masks_(shape_, in.mask),
        sinks_(in.sinks),
        cotangent_(with_dense_rows(*in.cotangent)),
        result_(with_dense_rows(*in.result)),
        sums_(contiguous(*in.logsumexp)),
        outputs_(outputs),
        mask_gradient_(mask_gradient),
        heads_(shape_.batches * shape_.key_heads) {
    int64_t most = std::clamp<int64_t>(shape_.keys / shortest_stretch, 1, most_stretches);
    stretches_ = std::clamp<int64_t>(enough_tasks / std::max<int64_t>(1, heads_), 1, most);
    longest_ = (shape_.keys + stretches_ - 1) / stretches_;
    block_ = even_block(longest_, most_keys, kernels_.key_unit);
    blocks_ = (longest_ + block_ - 1) / block_;
    taken_ = kernels_.rows * kernels_.gradient_blocks;
    key_stride_ = kernels_.pair_bytes ? blocks_ * block_ + 16 : whole_columns(shape_.width);
    value_stride_ = kernels_.pair_bytes ? blocks_ * block_ + 16 : whole_columns(shape_.value_width);
  }

  void run() {
    int64_t rows = heads_ * shape_.rows;
    Scratch along(rows * sizeof(float));
    Scratch parts(stretches_ > 1 ? stretches_ * rows * shape_.width * sizeof(float) : 0);
    along_ = along.as<float>();
    parts_ = stretches_ > 1 ? parts.as<float>() : nullptr;
    find_along(rows);
    parallel_for(heads_ * stretches_, 1, [&](int64_t begin, int64_t end) {
      std::optional<AmxTiles> tiles;
      if (kernels_.tiles) tiles.emplace();
      BlockMemory<Buffers> memory([this](Buffers& b, auto f) { each_buffer(b, f); });
      for (int64_t i = begin; i < end; i++) pull_back(i, memory.buffers());
    });
    if (parts_) add_parts(rows);
    if (sinks_) write_sinks();
  }

 private:
  struct Buffers {
    char *keys, *values, *key_lines;          // packed blocks of the stretch
    float *key_sums, *value_sums;             // gradients of the stretch
    char *queries, *cotangents;               // packed, of the rows at hand
    char *query_columns, *cotangent_columns;  // the same for products with columns
    float* query_sums;                        // gradients, [row][column]
    float *weights, *changes;                 // of the rows at hand, scores before
    char *weight_pairs, *change_pairs;
    float *sum, *weight_factor, *change_factor, *along;  // of the rows at hand
    float *added, *raw, *line;                           // a mask, changes, work of writing
  };

  /** A stretch of keys and some rows of queries. */
  struct Step {
    KeyRows stretch;
    QueryRows rows;
    std::vector<VisibleKeys> visible;
  };

  static int64_t whole_columns(int64_t n) { return round_up(std::max<int64_t>(1, n), 16); }

  template <typename F>
  void each_buffer(Buffers& b, F f) const {
    constexpr int64_t floats = sizeof(float);
    int64_t d = shape_.width, e = shape_.value_width, pairs = kernels_.pair_bytes ? 1 : 0;
    f(b.keys, blocks_ * rows_bytes(block_, d));
    f(b.values, blocks_ * rows_bytes(block_, e));
    f(b.key_lines, blocks_ * lines_bytes(block_, d));
    f(b.key_sums, (pairs ? whole_columns(d) : longest_) * key_stride_ * floats);
    f(b.value_sums, (pairs ? whole_columns(e) : longest_) * value_stride_ * floats);
    f(b.queries, kernels_.gradient_blocks * rows_bytes(kBlockRows, d));
    f(b.cotangents, kernels_.gradient_blocks * rows_bytes(kBlockRows, e));
    f(b.query_columns, lines_bytes(round_up(taken_, kBlockRows), d));
    f(b.cotangent_columns, lines_bytes(round_up(taken_, kBlockRows), e));
    f(b.query_sums, round_up(taken_, kBlockRows) * whole_columns(d) * floats);
    f(b.weights, round_up(taken_, kBlockRows) * kScoreStride * floats);
    f(b.changes, round_up(taken_, kBlockRows) * kScoreStride * floats);
    int64_t pair_bytes = kernels_.gradient_blocks * block_ / 32 * kernels_.pair_bytes;
    f(b.weight_pairs, pair_bytes);
    f(b.change_pairs, pair_bytes);
    for (float** each : {&b.sum, &b.weight_factor, &b.change_factor, &b.along}) {
      f(*each, taken_ * floats);
    }
    f(b.added, masks_.added() ? kBlockRows * kScoreStride * floats : 0);
    f(b.raw, mask_gradient_ ? kBlockRows * kScoreStride * floats : 0);
    f(b.line, (std::max(d, e) * most_keys + 16) * floats);
  }

  int64_t rows_bytes(int64_t n, int64_t depth) const { return packed_rows(kernels_, n, depth); }
  int64_t lines_bytes(int64_t n, int64_t columns) const {
    return packed_lines(kernels_, n, columns);
  }

  /** What changes of all weights of a row have in common: the result times its cotangent. */
  void find_along(int64_t rows) const {
    int64_t e = shape_.value_width;
    auto load = tile_load(result_.dtype());
    parallel_for(rows, kParallelWork / 128 / std::max<int64_t>(1, e),
                 [&](int64_t begin, int64_t end) {
                   Scratch memory(2 * e * sizeof(float) + 1);
                   float *result = memory.as<float>(), *cotangent = result + e;
                   for (int64_t i = begin; i < end; i++) {
                     int64_t head = i / shape_.rows, row = i % shape_.rows;
                     int64_t batch = head / shape_.key_heads, of_batch = head % shape_.key_heads;
                     load(shape_.row_of(result_, batch, of_batch, row), 1, result, 1, e);
                     load(shape_.row_of(cotangent_, batch, of_batch, row), 1, cotangent, 1, e);
                     along_[i] = e == 0 ? 0 : attention_table().dot(result, cotangent, e);
                   }
                 });
  }

  void pull_back(int64_t task, const Buffers& b) const {
    int64_t head = task / stretches_, stretch = task % stretches_;
    int64_t first = stretch * shape_.keys / stretches_;
    KeyRows keys{head / shape_.key_heads, head % shape_.key_heads, first,
                 (stretch + 1) * shape_.keys / stretches_ - first};
    pack_stretch(keys, b);
    for (int64_t row = 0; row < shape_.rows; row += taken_) {
      Step step{keys, {keys.batch, keys.head, row, std::min(taken_, shape_.rows - row)}, {}};
      start_rows(step, b);
      for (int64_t key = 0; key < keys.count; key += block_) add_keys(step, key, b);
      finish_rows(step, stretch, b);
    }
    int64_t at = head * shape_.keys + first;
    write_sums(b.key_sums, key_stride_, keys.count, shape_.width, scale_, at, b, outputs_[1]);
    write_sums(b.value_sums, value_stride_, keys.count, shape_.value_width, 1, at, b, outputs_[2]);
  }

  void pack_stretch(const KeyRows& keys, const Buffers& b) const {
    int64_t d = shape_.width, e = shape_.value_width;
    const void* rows[kBlockKeys];
    for (int64_t key = 0; key < keys.count; key += block_) {
      KeyRows block{keys.batch, keys.head, keys.first + key, std::min(block_, keys.count - key)};
      int64_t i = key / block_;
      find_rows(k_, block, rows);
      kernels_.pack_keys(b.keys + i * rows_bytes(block_, d), rows, block.count, d);
      kernels_.pack_lines(b.key_lines + i * lines_bytes(block_, d), rows, block.count, d);
      find_rows(v_, block, rows);
      kernels_.pack_keys(b.values + i * rows_bytes(block_, e), rows, block.count, e);
    }
    bool pairs = kernels_.pair_bytes != 0;
    std::fill_n(b.key_sums, (pairs ? d : keys.count) * key_stride_, 0.0f);
    std::fill_n(b.value_sums, (pairs ? e : keys.count) * value_stride_, 0.0f);
  }

  /** The rows of block i. */
  QueryRows block_of(const QueryRows& rows, int64_t i) const {
    return {rows.batch, rows.head, rows.first + i * kernels_.rows,
            std::min<int64_t>(kernels_.rows, rows.count - i * kernels_.rows)};
  }

  void start_rows(Step& step, const Buffers& b) const {
    const QueryRows& rows = step.rows;
    int64_t d = shape_.width, e = shape_.value_width;
    std::vector<const void*> q(rows.count), dy(rows.count);
    shape_.find_rows(q_, rows, q.data());
    shape_.find_rows(cotangent_, rows, dy.data());
    int64_t at = shape_.run_of(rows.batch, rows.head) + rows.first;
    for (int64_t i = 0; i < rows.count; i++) {
      float sum = sums_.data<float>()[at + i];
      // Equal weights where no key is seen. Scores that are hidden do not change.
      bool is_blind = sum <= lowest_float / 2 && sum >= lowest_float;
      b.sum[i] = sum;
      b.weight_factor[i] = is_blind ? 1 / static_cast<float>(shape_.keys) : 1;
      b.change_factor[i] = is_blind && !masks_.added() ? 0 : 1;
      b.along[i] = along_[at + i];
    }
    kernels_.pack_columns(b.query_columns, q.data(), rows.count, d);
    kernels_.pack_columns(b.cotangent_columns, dy.data(), rows.count, e);
    for (int64_t i = 0; i * kernels_.rows < rows.count; i++) {
      QueryRows block = block_of(rows, i);
      step.visible.push_back(masks_.visible(block));
      int64_t first = i * kernels_.rows;
      kernels_.pack_queries(b.queries + i * rows_bytes(kBlockRows, d), q.data() + first,
                            block.count, d);
      kernels_.pack_queries(b.cotangents + i * rows_bytes(kBlockRows, e), dy.data() + first,
                            block.count, e);
    }
    std::fill_n(b.query_sums, round_up(rows.count, kBlockRows) * whole_columns(d), 0.0f);
  }

  /** All that a block of keys, at `key` in the stretch, and the rows at hand do to each other. */
  void add_keys(const Step& step, int64_t key, const Buffers& b) const {
    auto blocks = static_cast<int64_t>(step.visible.size());
    int64_t run = 0;  // where the blocks begin that see something
    for (int64_t i = 0; i < blocks; i++) {
      if (add_block(step, i, key, b)) continue;
      add_columns(step, run, i, key, b);
      run = i + 1;
    }
    add_columns(step, run, blocks, key, b);
  }

  /** Weights, changes and gradients of a block of rows; false if it sees nothing of the keys. */
  bool add_block(const Step& step, int64_t i, int64_t key, const Buffers& b) const {
    int64_t d = shape_.width, e = shape_.value_width;
    int64_t count = std::min(block_, step.stretch.count - key), first = step.stretch.first + key;
    QueryRows rows = block_of(step.rows, i);
    uint64_t words[kBlockRows * kSeenWords];
    Seen seen = step.visible[i].find(first, count, words);
    if (seen == Seen::nothing) {
      if (mask_gradient_) write_zeros(rows, first, count);
      return false;
    }
    int64_t row = i * kernels_.rows, packed = key / block_;
    GradientBlock g = {};
    g.block = {b.weights + row * kScoreStride,
               rows.count,
               count,
               kernels_.whole_keys(count),
               scale_,
               seen == Seen::something ? words : nullptr,
               nullptr};
    if (masks_.added()) g.block.added = masks_.load(rows, first, count, b.added);
    g.changes = b.changes + row * kScoreStride;
    g.sum = b.sum + row;
    g.weight_factor = b.weight_factor + row;
    g.along = b.along + row;
    g.change_factor = b.change_factor + row;
    g.weight_pairs = b.weight_pairs;
    g.change_pairs = b.change_pairs;
    g.pair_step = i;
    g.pair_steps = static_cast<int64_t>(step.visible.size());
    g.raw = mask_gradient_ ? b.raw : nullptr;
    kernels_.score({b.queries + i * rows_bytes(kBlockRows, d),
                    b.keys + packed * rows_bytes(block_, d), g.block.scores, kScoreStride,
                    rows.count, g.block.padded, d, count});
    kernels_.score({b.cotangents + i * rows_bytes(kBlockRows, e),
                    b.values + packed * rows_bytes(block_, e), g.changes, kScoreStride, rows.count,
                    g.block.padded, e, count});
    kernels_.change(g);
    kernels_.add_lines({g.changes, b.key_lines + packed * lines_bytes(block_, d),
                        b.query_sums + row * whole_columns(d), whole_columns(d), rows.count, d,
                        g.block.padded, count});
    if (mask_gradient_) write_mask_gradient(rows, first, count, b.raw);
    return true;
  }

  /** Gradients of a block of keys and values from blocks [first, last) of the rows. */
  void add_columns(const Step& step, int64_t first, int64_t last, int64_t key,
                   const Buffers& b) const {
    if (first >= last) return;
    int64_t count = std::min(block_, step.stretch.count - key);
    ColumnProduct p = {};
    p.keys = kernels_.pair_bytes ? kernels_.whole_keys(count) : count;
    p.first = first;
    p.last = last;
    p.steps = static_cast<int64_t>(step.visible.size());
    p.rows = step.rows.count;
    auto add = [&](const float* weights, const char* pairs, const char* columns, int64_t n,
                   float* sums, int64_t stride) {
      p.weights = weights;
      p.pairs = pairs;
      p.columns = columns;
      p.count = n;
      p.sums = sums + key * (kernels_.pair_bytes ? 1 : stride);
      p.stride = stride;
      kernels_.add_columns(p);
    };
    add(b.weights, b.weight_pairs, b.cotangent_columns, shape_.value_width, b.value_sums,
        value_stride_);
    add(b.changes, b.change_pairs, b.query_columns, shape_.width, b.key_sums, key_stride_);
  }

  char* scores_at(const QueryRows& rows, int64_t i, int64_t key) const {
    int64_t at = shape_.run_of(rows.batch, rows.head) + rows.first + i;
    return address(outputs_[3], at * shape_.keys + key);
  }

  void write_mask_gradient(const QueryRows& rows, int64_t key, int64_t keys,
                           const float* changes) const {
    for (int64_t i = 0; i < rows.count; i++) {
      tile_store(outputs_[3].dtype())(changes + i * kScoreStride, 1, scores_at(rows, i, key), 1,
                                      keys);
    }
  }

  void write_zeros(const QueryRows& rows, int64_t key, int64_t keys) const {
    for (int64_t i = 0; i < rows.count; i++) {
      std::fill_n(scores_at(rows, i, key), keys * static_cast<int64_t>(outputs_[3].itemsize()), 0);
    }
  }

  void finish_rows(const Step& step, int64_t stretch, const Buffers& b) const {
    int64_t d = shape_.width, stride = whole_columns(d);
    int64_t at = shape_.run_of(step.rows.batch, step.rows.head) + step.rows.first;
    std::vector<float> scales(step.rows.count, scale_);
    kernels_.rescale(b.query_sums, stride, step.rows.count, stride, scales.data());
    for (int64_t i = 0; i < step.rows.count; i++, at++) {
      const float* row = b.query_sums + i * stride;
      if (parts_) {
        std::copy_n(row, d, parts_ + (stretch * heads_ * shape_.rows + at) * d);
      } else {
        tile_store(outputs_[0].dtype())(row, 1, address(outputs_[0], at * d), 1, d);
      }
    }
  }

  /** Gradients of keys or values, times a factor. */
  void write_sums(float* sums, int64_t stride, int64_t keys, int64_t columns, float factor,
                  int64_t at, const Buffers& b, array& out) const {
    auto store = tile_store(out.dtype());
    bool pairs = kernels_.pair_bytes != 0;
    int64_t rows = pairs ? columns : keys, width = pairs ? blocks_ * block_ : stride;
    std::vector<float> factors(rows, factor);
    kernels_.rescale(sums, stride, rows, width, factors.data());
    if (!pairs) {
      for (int64_t i = 0; i < keys; i++) {
        store(sums + i * stride, 1, address(out, (at + i) * columns), 1, columns);
      }
      return;
    }
    std::vector<const void*> lines(columns);
    for (int64_t key = 0; key < keys; key += most_keys) {
      int64_t count = std::min(most_keys, keys - key);
      for (int64_t j = 0; j < columns; j++) lines[j] = sums + j * stride + key;
      auto n = static_cast<int>(columns);
      real_gemm_kernels().f32.pack_rows(b.line, n, lines.data(), n, count);
      store(b.line, 1, address(out, (at + key) * columns), 1, count * columns);
    }
  }

  void add_parts(int64_t rows) const {
    int64_t n = rows * shape_.width;
    parallel_for(n, kParallelWork / 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = 1; i < stretches_; i++) {
        attention_table().add(parts_ + begin, parts_ + i * n + begin, end - begin);
      }
      tile_store(outputs_[0].dtype())(parts_ + begin, 1, address(outputs_[0], begin), 1,
                                      end - begin);
    });
  }

  void write_sinks() const {
    array& out = outputs_.back();
    for (int64_t h = 0; h < shape_.heads; h++) {
      float sink = read_sink(*sinks_, h), grad = 0;
      for (int64_t batch = 0; batch < shape_.batches; batch++) {
        int64_t at = (batch * shape_.heads + h) * shape_.length;
        float of_batch = 0;
        for (int64_t i = 0; i < shape_.length; i++) {
          of_batch -= along_[at + i] * std::exp(sink - sums_.data<float>()[at + i]);
        }
        grad += of_batch;
      }
      tile_store(out.dtype())(&grad, 1, address(out, h), 1, 1);
    }
  }

  static char* address(array& a, int64_t at) {
    return a.data<char>() + at * static_cast<int64_t>(a.itemsize());
  }

  AttentionShape shape_;
  const BlockKernels& kernels_;
  float scale_;
  array q_, k_, v_;
  ScoreMasks masks_;
  const array* sinks_;
  array cotangent_, result_, sums_;
  std::vector<array>& outputs_;
  bool mask_gradient_;
  int64_t heads_, stretches_, longest_;  // of the longest stretch
  int64_t block_, blocks_, taken_;       // keys of a block, blocks of a stretch, rows at hand
  int64_t key_stride_, value_stride_;    // of sums
  float *along_ = nullptr, *parts_ = nullptr;
};

}  // namespace

void attend_blocks_backward(const AttentionSpec& spec, const AttentionInputs& in,
                            bool mask_gradient, std::vector<array>& outputs) {
  BlockGradients(spec, in, mask_gradient, outputs).run();
}

}  // namespace mlx::core::cpu
