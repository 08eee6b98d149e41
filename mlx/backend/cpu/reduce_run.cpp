// The two ways to walk a reduction: along rows, where each output folds runs of values, and along
// columns, where neighbouring outputs take in row after row.
#include "mlx/backend/cpu/reduce_run.h"

#include <algorithm>
#include <memory>

#include "mlx/backend/common/reduce_plan.h"
#include "mlx/backend/cpu/words.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t grain_elements = 1 << 15;  // least work worth a thread
constexpr int64_t buffer_values = 8192;      // values brought to compute type at a time
constexpr int64_t max_value_size = sizeof(WideWord);
constexpr int64_t max_total_size = 24;
constexpr int64_t rows_together = 64;

class Runner {
 public:
  Runner(const ReduceJob& job, const ReduceInput& in, const std::vector<int>& axes,
         StoreTotals store)
      : job_(job),
        kernel_(job.kernel),
        store_(store),
        in_(in),
        in_size_(in.dtype.size()),
        direct_(job.direct && in.data),
        axes_(split_axes(in.shape, in.strides, axes)) {}

  void run() { axes_.by_columns ? run_columns() : run_rows(); }

 private:
  const char* at(int64_t offset) const { return in_.data + offset * in_size_; }
  const ReduceAxis& kept() const { return axes_.kept.back(); }
  const ReduceAxis& reduced() const { return axes_.reduced.back(); }
  /** Brings `count` values from `offset` on to the kernel's type. */
  void fetch(int64_t offset, int64_t stride, int64_t count, char* to) const {
    if (!in_.program) {
      job_.load(at(offset), stride, to, 1, count);
    } else if (job_.direct) {
      in_.program->read(offset, count, to);
    } else {
      alignas(64) char values[buffer_values * max_value_size];
      in_.program->read(offset, count, values);
      job_.load(values, 1, to, 1, count);
    }
  }

  int64_t total_size() const { return kernel_.total_size; }

  // ---- rows

  void run_rows() {
    int64_t outputs = outer_size(axes_.kept) * kept().size;
    ReduceUnits units(reduced().size, 1, outer_size(axes_.reduced), outputs);
    if (units.chunks > 1) {
      run_in_chunks(
          outputs, units, 1,
          [&](int64_t output, int64_t begin, int64_t end, void* totals) {
            row_units(units, begin, end, row_offset(output).in, 1, totals);
          },
          [&](int64_t output, void* totals) { store_(totals, 1, row_offset(output).out, 1); });
      return;
    }
    int64_t row_elements = units.count * units.piece;
    parallel_for(outputs, std::max<int64_t>(1, grain_elements / row_elements),
                 [&](int64_t begin, int64_t end) { row_range(units, begin, end); });
  }

  ReduceOffset row_offset(int64_t output) const {
    auto offset = outer_offset(axes_.kept, output / kept().size);
    int64_t inner = output % kept().size;
    return {offset.in + inner * kept().in_stride, offset.out + inner * kept().out_stride};
  }

  /** Outputs [begin, end), as many together as lie along the fastest kept axis. */
  void row_range(const ReduceUnits& units, int64_t begin, int64_t end) const {
    alignas(64) char totals[rows_together * max_total_size];
    while (begin < end) {
      int64_t count = std::min({rows_together, end - begin, kept().size - begin % kept().size});
      auto offset = row_offset(begin);
      kernel_.init(totals, count);
      row_units(units, 0, units.count, offset.in, count, totals);
      store_(totals, count, offset.out, kept().out_stride);
      begin += count;
    }
  }

  /** Units [begin, end) of `count` outputs whose first values start at `offset`. */
  void row_units(const ReduceUnits& units, int64_t begin, int64_t end, int64_t offset,
                 int64_t count, void* totals) const {
    for (int64_t u = begin; u < end; u++) {
      int64_t first = u % units.pieces * units.piece;
      int64_t start =
          offset + outer_offset(axes_.reduced, u / units.pieces).in + first * reduced().in_stride;
      int64_t n = std::min(units.piece, reduced().size - first);
      if (direct_ && reduced().in_stride == 1) {
        kernel_.rows(at(start), kept().in_stride, n, count, first, totals);
      } else {
        load_rows(start, n, count, first, totals);
      }
    }
  }

  void load_rows(int64_t start, int64_t n, int64_t count, int64_t first, void* totals) const {
    alignas(64) char buffer[buffer_values * max_value_size];
    int64_t together = std::max<int64_t>(1, buffer_values / n);
    bool adjacent = reduced().in_stride == 1 && kept().in_stride == n;
    for (int64_t i = 0; i < count; i += together) {
      int64_t rows = std::min(together, count - i);
      char* row_totals = static_cast<char*>(totals) + i * total_size();
      for (int64_t b = 0; b < n; b += buffer_values) {
        int64_t size = std::min(buffer_values, n - b);
        int64_t from = start + i * kept().in_stride + b * reduced().in_stride;
        int64_t fetches = adjacent && size == n ? 1 : rows;
        for (int64_t k = 0; k < fetches; k++) {
          fetch(from + k * kept().in_stride, reduced().in_stride, size * rows / fetches,
                buffer + k * size * job_.compute_size);
        }
        kernel_.rows(buffer, size, size, rows, first + b, row_totals);
      }
    }
  }

  // ---- columns

  struct Tile {
    int64_t in, out, width;
  };

  void run_columns() {
    int64_t width = std::min(kept().size, max_reduce_columns);
    int64_t tiles = (kept().size + width - 1) / width;
    int64_t tasks = outer_size(axes_.kept) * tiles;
    ReduceUnits units(reduced().size, width, outer_size(axes_.reduced), tasks);
    auto tile_of = [&](int64_t task) {
      auto offset = outer_offset(axes_.kept, task / tiles);
      int64_t first = task % tiles * width;
      return Tile{offset.in + first * kept().in_stride, offset.out + first * kept().out_stride,
                  std::min(width, kept().size - first)};
    };
    if (units.chunks > 1) {
      run_in_chunks(
          tasks, units, width,
          [&](int64_t task, int64_t begin, int64_t end, void* totals) {
            column_units(units, begin, end, tile_of(task), totals);
          },
          [&](int64_t task, void* totals) {
            Tile tile = tile_of(task);
            store_(totals, tile.width, tile.out, kept().out_stride);
          });
      return;
    }
    int64_t task_elements = units.count * units.piece * width;
    parallel_for(tasks, std::max<int64_t>(1, grain_elements / task_elements),
                 [&](int64_t begin, int64_t end) {
                   alignas(64) char totals[max_reduce_columns * max_total_size];
                   for (int64_t task = begin; task < end; task++) {
                     Tile tile = tile_of(task);
                     kernel_.init(totals, tile.width);
                     column_units(units, 0, units.count, tile, totals);
                     store_(totals, tile.width, tile.out, kept().out_stride);
                   }
                 });
  }

  void column_units(const ReduceUnits& units, int64_t begin, int64_t end, const Tile& tile,
                    void* totals) const {
    for (int64_t u = begin; u < end; u++) {
      int64_t first = u % units.pieces * units.piece;
      int64_t start =
          tile.in + outer_offset(axes_.reduced, u / units.pieces).in + first * reduced().in_stride;
      int64_t rows = std::min(units.piece, reduced().size - first);
      if (!direct_ || kept().in_stride != 1) {
        load_columns(start, rows, tile.width, first, totals);
      } else if (!job_.ordered && reduced().in_stride == tile.width && tile.width <= 32) {
        narrow_columns(start, rows, tile.width, totals);
      } else {
        kernel_.columns(at(start), reduced().in_stride, rows, tile.width, first, totals);
      }
    }
  }

  void load_columns(int64_t start, int64_t rows, int64_t width, int64_t first, void* totals) const {
    alignas(64) char buffer[buffer_values * max_value_size];
    int64_t together = buffer_values / width;
    bool adjacent = kept().in_stride == 1 && reduced().in_stride == width;
    for (int64_t r = 0; r < rows; r += together) {
      int64_t count = std::min(together, rows - r);
      int64_t fetches = adjacent ? 1 : count;
      for (int64_t k = 0; k < fetches; k++) {
        fetch(start + (r + k) * reduced().in_stride, kept().in_stride, width * count / fetches,
              buffer + k * width * job_.compute_size);
      }
      kernel_.columns(buffer, width, count, width, first + r, totals);
    }
  }

  /** Few dense columns: several rows count as one wide row, whose totals then fold. */
  void narrow_columns(int64_t start, int64_t rows, int64_t width, void* totals) const {
    alignas(64) char wide[256 * max_total_size];
    int64_t together = 256 / width;
    int64_t wide_rows = rows / together;
    if (wide_rows > 0) {
      kernel_.init(wide, together * width);
      kernel_.columns(at(start), together * width, wide_rows, together * width, 0, wide);
      for (int64_t k = 0; k < together; k++) {
        kernel_.merge(totals, wide + k * width * total_size(), width);
      }
    }
    int64_t done = wide_rows * together;
    if (done < rows) {
      kernel_.columns(at(start + done * width), width, rows - done, width, 0, totals);
    }
  }

  // ---- chunks

  /** Runs every chunk of every task on its own totals, then merges in order and finishes tasks. */
  template <typename RunUnits, typename Finish>
  void run_in_chunks(int64_t tasks, const ReduceUnits& units, int64_t width, RunUnits run_units,
                     Finish finish) const {
    int64_t slot = width * total_size();
    std::unique_ptr<char[]> partial(new char[tasks * units.chunks * slot]);
    parallel_for(tasks * units.chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) {
        char* totals = partial.get() + i * slot;
        int64_t chunk = i % units.chunks;
        kernel_.init(totals, width);
        run_units(i / units.chunks, chunk * units.per_chunk,
                  std::min(units.count, (chunk + 1) * units.per_chunk), totals);
      }
    });
    for (int64_t task = 0; task < tasks; task++) {
      char* totals = partial.get() + task * units.chunks * slot;
      for (int64_t c = 1; c < units.chunks; c++) {
        kernel_.merge(totals, totals + c * slot, width);
      }
      finish(task, totals);
    }
  }

  const ReduceJob& job_;
  const ReduceKernel& kernel_;
  StoreTotals store_;
  const ReduceInput& in_;
  int64_t in_size_;
  bool direct_;  // kernels may read the input in place
  ReduceAxes axes_;
};

}  // namespace

void ReduceJob::run(const ReduceInput& in, const std::vector<int>& axes, StoreTotals store) const {
  Runner(*this, in, axes, store).run();
}

}  // namespace mlx::core::cpu
