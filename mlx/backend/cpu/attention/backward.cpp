// Attention backward by blocks. A task owns a stretch of keys of one head: it goes through all rows
// of queries, makes weights again from scores and the row statistics, and adds up the gradients of
// its keys and values. Gradients of queries are parts, one for each stretch, that are added in
// order: the stretches follow from the shapes, so the bits are the same for any number of threads.
#include <cmath>
#include <vector>

#include "mlx/backend/cpu/attention/blocks.h"
#include "mlx/backend/cpu/attention/float32.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/gemm/blocked.h"
#include "mlx/backend/cpu/gemm/scratch.h"
#include "mlx/backend/cpu/tile.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t enough_tasks = 32, most_stretches = 8, shortest_stretch = 512;
constexpr int64_t block_panels = 4;         // of queries
constexpr int64_t block_floats = 16 << 10;  // of keys, of values, and of the keys' columns
constexpr int64_t most_keys = 120;

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

class BlockGradients {
 public:
  BlockGradients(const AttentionSpec& spec, const AttentionInputs& in, bool mask_gradient,
                 std::vector<array>& outputs)
      : shape_(spec, in),
        panels_(shape_, in.queries.dtype()),
        scale_(spec.scale),
        q_(with_dense_rows(in.queries)),
        k_(with_dense_rows(in.keys)),
        v_(with_dense_rows(in.values)),
        mask_(in.mask),
        sinks_(in.sinks),
        cotangent_(with_dense_rows(*in.cotangent)),
        result_(with_dense_rows(*in.result)),
        sums_(contiguous(*in.logsumexp)),
        outputs_(outputs),
        mask_gradient_(mask_gradient),
        width_(panels_.width()),
        heads_(shape_.batches * shape_.key_heads) {
    int64_t most = std::clamp<int64_t>(shape_.keys / shortest_stretch, 1, most_stretches);
    stretches_ = std::clamp<int64_t>(enough_tasks / std::max<int64_t>(1, heads_), 1, most);
    longest_ = (shape_.keys + stretches_ - 1) / stretches_;
    int64_t widest = std::max<int64_t>({1, shape_.width, shape_.value_width});
    block_ = panels_.even_block(longest_, std::min(most_keys, block_floats / widest));
  }

  void run() {
    int64_t rows = heads_ * shape_.rows;
    Scratch along(rows * sizeof(float));
    Scratch parts(stretches_ > 1 ? stretches_ * rows * shape_.width * sizeof(float) : 0);
    along_ = along.as<float>();
    parts_ = stretches_ > 1 ? parts.as<float>() : nullptr;
    find_along(rows);
    parallel_for(heads_ * stretches_, 1, [&](int64_t begin, int64_t end) {
      Scratch memory(memory_floats() * sizeof(float));
      Buffers buffers = buffers_in(memory.as<float>());
      for (int64_t i = begin; i < end; i++) pull_back(i, buffers);
    });
    if (parts_) add_parts(rows);
    if (sinks_) write_sinks();
  }

 private:
  struct Buffers {
    float *keys, *values, *key_columns;                  // packed, of the stretch
    float *key_sums, *value_sums;                        // gradients of the stretch
    float *queries, *cotangents;                         // packed wide
    float *query_lines, *cotangent_lines;                // packed as lines
    float* query_sums;                                   // [panel][column][width]
    float *weights, *changes;                            // [panel][key][width]
    float *sum, *weight_factor, *change_factor, *along;  // [panel][width]
    float* mask;                                         // or any other work of a panel
  };

  /** A stretch of keys and a block of rows of queries. */
  struct Step {
    KeyRows stretch;
    QueryRows rows;
    std::vector<PanelView> views;
  };

  template <typename F>
  void each_buffer(Buffers& b, F f) const {
    int64_t d = shape_.width, e = shape_.value_width, rows = block_panels * width_;
    int64_t padded_d = round_up(d, width_), padded_e = round_up(e, width_);
    int64_t blocks = (longest_ + block_ - 1) / block_;
    f(b.keys, panels_.narrow_size(longest_, d));
    f(b.values, panels_.narrow_size(longest_, e));
    f(b.key_columns, blocks * panels_.narrow_size(block_, d));
    f(b.key_sums, longest_ * padded_d);
    f(b.value_sums, longest_ * padded_e);
    f(b.queries, rows * d);
    f(b.cotangents, rows * e);
    f(b.query_lines, rows * padded_d);
    f(b.cotangent_lines, rows * padded_e);
    f(b.query_sums, rows * d);
    f(b.weights, rows * block_);
    f(b.changes, rows * block_);
    for (float** each : {&b.sum, &b.weight_factor, &b.change_factor, &b.along}) f(*each, rows);
    f(b.mask, std::max(d, block_) * width_ + width_);
  }

  int64_t memory_floats() const {
    Buffers b = {};
    int64_t total = 0;
    each_buffer(b, [&](float*&, int64_t n) { total += round_up(n, 16); });
    return total;
  }

  Buffers buffers_in(float* at) const {
    Buffers b = {};
    each_buffer(b, [&](float*& each, int64_t n) {
      each = at;
      at += round_up(n, 16);
    });
    return b;
  }

  /** What changes of all weights of a row have in common: the result times its cotangent. */
  void find_along(int64_t rows) const {
    int64_t e = shape_.value_width;
    auto load = tile_load(result_.dtype());
    parallel_for(rows, kParallelWork / 8 / std::max<int64_t>(1, e),
                 [&](int64_t begin, int64_t end) {
                   Scratch memory(2 * e * sizeof(float) + 1);
                   float *result = memory.as<float>(), *cotangent = result + e;
                   for (int64_t i = begin; i < end; i++) {
                     int64_t head = i / shape_.rows, row = i % shape_.rows;
                     int64_t batch = head / shape_.key_heads, of_batch = head % shape_.key_heads;
                     load(shape_.row_of(result_, batch, of_batch, row), 1, result, 1, e);
                     load(shape_.row_of(cotangent_, batch, of_batch, row), 1, cotangent, 1, e);
                     along_[i] = e == 0 ? 0 : panels_.table().dot(result, cotangent, e);
                   }
                 });
  }

  void pull_back(int64_t task, const Buffers& b) const {
    int64_t head = task / stretches_, stretch = task % stretches_;
    int64_t first = stretch * shape_.keys / stretches_;
    KeyRows keys{head / shape_.key_heads, head % shape_.key_heads, first,
                 (stretch + 1) * shape_.keys / stretches_ - first};
    pack_stretch(keys, b);
    for (int64_t row = 0; row < shape_.rows; row += block_panels * width_) {
      Step step{keys,
                {keys.batch, keys.head, row, std::min(block_panels * width_, shape_.rows - row)},
                {}};
      start_rows(step, b);
      for (int64_t key = 0; key < keys.count; key += block_) add_keys(step, key, b);
      finish_rows(step, stretch, b);
    }
    int64_t at = head * shape_.keys + first;
    write_lines(b.key_sums, keys.count, shape_.width, at, outputs_[1]);
    write_lines(b.value_sums, keys.count, shape_.value_width, at, outputs_[2]);
  }

  void pack_stretch(const KeyRows& keys, const Buffers& b) const {
    panels_.pack_keys(k_, keys, b.keys);
    panels_.pack_keys(v_, keys, b.values);
    float* columns = b.key_columns;
    for (int64_t key = 0; key < keys.count; key += block_) {
      KeyRows block{keys.batch, keys.head, keys.first + key, std::min(block_, keys.count - key)};
      panels_.pack_columns(k_, block, columns);
      columns += panels_.narrow_size(block_, shape_.width);
    }
    std::fill_n(b.key_sums, keys.count * round_up(shape_.width, width_), 0.0f);
    std::fill_n(b.value_sums, keys.count * round_up(shape_.value_width, width_), 0.0f);
  }

  void start_rows(Step& step, const Buffers& b) const {
    const QueryRows& rows = step.rows;
    panels_.pack_wide(q_, rows, scale_, b.queries);
    panels_.pack_wide(cotangent_, rows, 1, b.cotangents);
    panels_.pack_lines(q_, rows, scale_, b.query_lines);
    panels_.pack_lines(cotangent_, rows, 1, b.cotangent_lines);
    int64_t panels = panels_.panels(rows.count);
    std::fill_n(b.query_sums, panels * width_ * shape_.width, 0.0f);
    for (float* each : {b.sum, b.weight_factor, b.change_factor, b.along}) {
      std::fill_n(each, panels * width_, 0.0f);
    }
    int64_t at = shape_.run_of(rows.batch, rows.head) + rows.first;
    for (int64_t i = 0; i < rows.count; i++) {
      float sum = sums_.data<float>()[at + i];
      // Equal weights where no key is seen. Scores that are hidden do not change.
      bool is_blind = sum <= lowest_float / 2 && sum >= lowest_float;
      b.sum[i] = sum;
      b.weight_factor[i] = is_blind ? 1 / static_cast<float>(shape_.keys) : 1;
      b.change_factor[i] = is_blind && (!mask_ || mask_->dtype() == bool_) ? 0 : 1;
      b.along[i] = along_[at + i];
    }
    for (int64_t p = 0; p < panels; p++) {
      step.views.emplace_back(shape_, panel_of(rows, p), width_);
    }
  }

  QueryRows panel_of(const QueryRows& rows, int64_t p) const {
    return {rows.batch, rows.head, rows.first + p * width_,
            std::min(width_, rows.count - p * width_)};
  }

  /** Keys of a block that a panel goes through; none, or whole narrow panels of them. */
  int64_t keys_of(const Step& step, int64_t p, int64_t key, int64_t count) const {
    int64_t left = step.views[p].end() - step.stretch.first - key;
    return left <= 0 ? 0 : std::min(count, panels_.whole_panels(left));
  }

  /** All that a block of keys, at `key` in the stretch, and a block of rows do to each other. */
  void add_keys(const Step& step, int64_t key, const Buffers& b) const {
    int64_t count = std::min(block_, step.stretch.count - key);
    auto panels = static_cast<int64_t>(step.views.size());
    int64_t d = shape_.width, e = shape_.value_width;
    const float* columns = b.key_columns + key / block_ * panels_.narrow_size(block_, d);
    for (int64_t p = 0; p < panels; p++) {
      int64_t seen = keys_of(step, p, key, count);
      if (seen == 0) continue;
      float *weights = b.weights + p * width_ * block_, *changes = b.changes + p * width_ * block_;
      panels_.multiply(seen, d, d, b.keys + key * d, b.queries + p * width_ * d, weights, false);
      panels_.multiply(seen, e, e, b.values + key * e, b.cotangents + p * width_ * e, changes,
                       false);
      weigh(step, p, key, seen, weights, changes, b);
      panels_.multiply(d, seen, count, columns, changes, b.query_sums + p * width_ * d, true);
    }
    int64_t narrow = panels_.narrow_width();
    for (int64_t i = 0; i < count; i += narrow) {
      int64_t keys = std::min(narrow, count - i);
      for (int64_t p = 0; p < panels; p++) {
        int64_t run = p;
        while (run < panels && keys_of(step, run, key, count) > i) run++;
        if (run == p) continue;
        int64_t at = p * width_ * block_ + i * width_, to = key + i;
        add_lines(b.weights + at, keys, run - p, b.cotangent_lines, e, p, b.value_sums, to);
        add_lines(b.changes + at, keys, run - p, b.query_lines, d, p, b.key_sums, to);
        p = run;
      }
    }
  }

  /** Makes weights from scores, and their scores' changes from theirs. */
  void weigh(const Step& step, int64_t p, int64_t key, int64_t count, float* weights,
             float* changes, const Buffers& b) const {
    const AttentionTable& table = panels_.table();
    QueryRows rows = panel_of(step.rows, p);
    int64_t first = step.stretch.first + key, at = p * width_;
    step.views[p].hide(table, first, count, weights);
    if (mask_) panels_.apply_mask(*mask_, rows, first, count, weights, b.mask);
    table.weigh(weights, count, b.sum + at, b.weight_factor + at);
    table.change(changes, weights, count, b.along + at, b.change_factor + at);
    if (mask_gradient_) write_mask_gradient(rows, first, count, changes, b.mask);
  }

  /** Adds weights of some keys, transposed, times lines of `panels` panels from p on. */
  void add_lines(const float* weights, int64_t keys, int64_t panels, const float* lines,
                 int64_t columns, int64_t p, float* sums, int64_t key) const {
    int64_t padded = round_up(columns, width_);
    AddRows call = {};
    call.panels = panels;
    call.weights = weights;
    call.weights_panel = width_ * block_;
    call.rows_panel = padded * width_;
    call.stride = padded;
    for (int64_t j = 0; j < padded; j += width_) {
      call.rows = lines + p * padded * width_ + j * width_;
      call.sums = sums + key * padded + j;
      panels_.table().add_rows[keys - 1](call);
    }
  }

  void write_mask_gradient(const QueryRows& rows, int64_t key, int64_t keys, const float* changes,
                           float* buffer) const {
    panels_.transpose(changes, keys, buffer);
    array& out = outputs_[3];
    int64_t at = (shape_.run_of(rows.batch, rows.head) + rows.first) * shape_.keys + key;
    for (int64_t i = 0; i < rows.count; i++) {
      tile_store(out.dtype())(buffer + i * keys, 1, address(out, at + i * shape_.keys), 1, keys);
    }
  }

  void finish_rows(const Step& step, int64_t stretch, const Buffers& b) const {
    int64_t d = shape_.width;
    int64_t at = shape_.run_of(step.rows.batch, step.rows.head) + step.rows.first;
    auto panels = static_cast<int64_t>(step.views.size());
    for (int64_t i = 0; i < panels * width_ * d; i++) b.query_sums[i] *= scale_;
    for (int64_t p = 0; p < panels; p++, at += width_) {
      panels_.transpose(b.query_sums + p * width_ * d, d, b.mask);
      int64_t n = panel_of(step.rows, p).count * d;
      if (parts_) {
        std::copy_n(b.mask, n, parts_ + stretch * heads_ * shape_.rows * d + at * d);
      } else {
        tile_store(outputs_[0].dtype())(b.mask, 1, address(outputs_[0], at * d), 1, n);
      }
    }
  }

  void write_lines(const float* sums, int64_t lines, int64_t columns, int64_t at,
                   array& out) const {
    int64_t padded = round_up(columns, width_);
    for (int64_t i = 0; i < lines; i++) {
      tile_store(out.dtype())(sums + i * padded, 1, address(out, (at + i) * columns), 1, columns);
    }
  }

  void add_parts(int64_t rows) const {
    int64_t n = rows * shape_.width;
    parallel_for(n, kParallelWork / 8, [&](int64_t begin, int64_t end) {
      for (int64_t i = 1; i < stretches_; i++) {
        panels_.table().add(parts_ + begin, parts_ + i * n + begin, end - begin);
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
  AttentionPanels panels_;
  float scale_;
  array q_, k_, v_;
  const array *mask_, *sinks_;
  array cotangent_, result_, sums_;
  std::vector<array>& outputs_;
  bool mask_gradient_;
  int64_t width_, heads_, stretches_, block_, longest_;
  float *along_ = nullptr, *parts_ = nullptr;
};

}  // namespace

void attend_blocks_backward(const AttentionSpec& spec, const AttentionInputs& in,
                            bool mask_gradient, std::vector<array>& outputs) {
  BlockGradients(spec, in, mask_gradient, outputs).run();
}

}  // namespace mlx::core::cpu
