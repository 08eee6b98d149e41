// Attention forward by blocks. A task takes some hundred rows of queries that share a head of keys,
// packs blocks of keys and values one after the other, and multiplies them with panels of queries:
// scores come out as the right operand of the product with the values, and stay in the first cache.
#include "mlx/backend/cpu/attention/blocks.h"

#include <cmath>

#include "mlx/backend/cpu/attention/float32.h"
#include "mlx/backend/cpu/gemm/blocked.h"
#include "mlx/backend/cpu/gemm/scratch.h"
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

namespace {

constexpr int64_t task_rows = 2048;  // at most, since their results wait between blocks of keys
constexpr int64_t block_floats = 32 << 10;  // of keys, and of values: a part of the second cache
constexpr int64_t most_keys = 240;

class BlockAttention {
 public:
  BlockAttention(const AttentionSpec& spec, const AttentionInputs& in, std::vector<array>& outputs)
      : shape_(spec, in),
        panels_(shape_, in.queries.dtype()),
        scale_(spec.scale),
        q_(with_dense_rows(in.queries)),
        k_(with_dense_rows(in.keys)),
        v_(with_dense_rows(in.values)),
        mask_(in.mask),
        sinks_(in.sinks),
        out_(outputs[0]),
        sums_(outputs[1]),
        width_(panels_.width()) {
    int64_t widest = std::max<int64_t>({1, shape_.width, shape_.value_width});
    int64_t fitting = std::min(most_keys, block_floats / widest);
    block_ = panels_.even_block(shape_.keys, fitting);
    // The bits do not depend on how rows are divided, so it may be by threads.
    int64_t share = shape_.batches * shape_.key_heads * shape_.rows / (4 * num_threads());
    rows_ = std::clamp<int64_t>(share / width_, 4, task_rows / width_) * width_;
  }

  void run() const {
    int64_t blocks = (shape_.rows + rows_ - 1) / rows_;
    int64_t work = std::min(rows_, shape_.rows) * shape_.keys * (shape_.width + shape_.value_width);
    int64_t grain = std::max<int64_t>(1, kParallelWork / std::max<int64_t>(1, work));
    parallel_for(shape_.batches * shape_.key_heads * blocks, grain,
                 [&](int64_t begin, int64_t end) {
                   Scratch memory(memory_floats() * sizeof(float));
                   Buffers buffers = buffers_in(memory.as<float>());
                   for (int64_t task = begin; task < end; task++) {
                     int64_t first = task % blocks * rows_;
                     attend({task / blocks / shape_.key_heads, task / blocks % shape_.key_heads,
                             first, std::min(rows_, shape_.rows - first)},
                            buffers);
                   }
                 });
  }

 private:
  struct Buffers {
    float *queries, *keys, *values;  // packed
    float* results;                  // [panel][column][width]
    float *top, *total;              // [panel][width]
    float *scores, *mask;
  };

  int64_t memory_floats() const {
    int64_t d = shape_.width, e = shape_.value_width;
    return rows_ * (d + e + 2) + panels_.narrow_size(block_, d) + panels_.narrow_size(block_, e) +
           2 * block_ * width_ + e * width_ + 4 * width_;
  }

  Buffers buffers_in(float* at) const {
    int64_t d = shape_.width, e = shape_.value_width;
    Buffers b = {};
    b.top = at;
    b.total = b.top + rows_;
    b.queries = b.total + rows_;
    b.results = b.queries + rows_ * d;
    b.keys = b.results + rows_ * e;
    b.values = b.keys + panels_.narrow_size(block_, d);
    b.scores = b.values + panels_.narrow_size(block_, e);
    b.mask = b.scores + block_ * width_;  // and what is left for a transposed panel
    return b;
  }

  QueryRows panel_of(const QueryRows& rows, int64_t p) const {
    return {rows.batch, rows.head, rows.first + p * width_,
            std::min(width_, rows.count - p * width_)};
  }

  void attend(const QueryRows& rows, const Buffers& b) const {
    int64_t panels = panels_.panels(rows.count), end = 0;
    panels_.pack_wide(q_, rows, scale_, b.queries);
    std::fill_n(b.results, panels * shape_.value_width * width_, 0.0f);
    std::fill_n(b.top, panels * width_, lowest_float);
    std::fill_n(b.total, panels * width_, 0.0f);
    for (int64_t p = 0; p < panels; p++) {
      end = std::max(end, PanelView(shape_, panel_of(rows, p), width_).end());
    }
    for (int64_t key = 0; key < end; key += block_) {
      KeyRows keys{rows.batch, rows.head, key, std::min(block_, end - key)};
      panels_.pack_keys(k_, keys, b.keys);
      panels_.pack_columns(v_, keys, b.values);
      for (int64_t p = 0; p < panels; p++) add_keys(panel_of(rows, p), keys, p, b);
    }
    for (int64_t p = 0; p < panels; p++) finish(panel_of(rows, p), p, b);
  }

  /** Goes on with the softmax and results of a panel of queries. */
  void add_keys(const QueryRows& rows, const KeyRows& keys, int64_t p, const Buffers& b) const {
    PanelView view(shape_, rows, width_);
    if (view.end() <= keys.first) return;
    int64_t count = std::min(keys.count, panels_.whole_panels(view.end() - keys.first));
    const AttentionTable& table = panels_.table();
    panels_.multiply(count, shape_.width, shape_.width, b.keys,
                     b.queries + p * width_ * shape_.width, b.scores, false);
    view.hide(table, keys.first, count, b.scores);
    if (mask_) panels_.apply_mask(*mask_, rows, keys.first, count, b.scores, b.mask);
    float factor[PanelView::most_width];
    float* results = b.results + p * width_ * shape_.value_width;
    if (table.advance(b.scores, count, b.top + p * width_, b.total + p * width_, factor)) {
      table.rescale(results, shape_.value_width, factor);
    }
    panels_.multiply(shape_.value_width, count, keys.count, b.values, b.scores, results, true);
  }

  void finish(const QueryRows& rows, int64_t p, const Buffers& b) const {
    float *top = b.top + p * width_, *total = b.total + p * width_;
    float factor[PanelView::most_width] = {};
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
    int64_t columns = shape_.value_width;
    float *results = b.results + p * width_ * columns, *lines = b.scores;
    panels_.table().rescale(results, columns, factor);
    panels_.transpose(results, columns, lines);
    tile_store(out_.dtype())(
        lines, 1, out_.data<char>() + at * columns * static_cast<int64_t>(out_.itemsize()), 1,
        rows.count * columns);
  }

  AttentionShape shape_;
  AttentionPanels panels_;
  float scale_;
  array q_, k_, v_;
  const array *mask_, *sinks_;
  array &out_, &sums_;
  int64_t width_, block_, rows_;
};

}  // namespace

void attend_blocks(const AttentionSpec& spec, const AttentionInputs& in,
                   std::vector<array>& outputs) {
  BlockAttention(spec, in, outputs).run();
}

}  // namespace mlx::core::cpu
