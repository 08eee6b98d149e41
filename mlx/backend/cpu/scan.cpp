// Scans on the CPU: along rows when the axis is the last one, else a tile of columns per thread. A
// few long rows are cut into chunks: their totals first, then every chunk from its carry.
#include "mlx/primitives/scan.h"

#include <algorithm>
#include <memory>

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/backend/cpu/scan_kernels.h"
#include "mlx/backend/cpu/tile.h"
#include "mlx/backend/cpu/words.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t grain_elements = 1 << 14;
constexpr int64_t chunk_elements = 1 << 16;
constexpr int64_t max_columns = 1024;
constexpr int64_t max_value_size = sizeof(WideWord);

class Scanner {
 public:
  Scanner(ScanOp op, const array& in, array& out, int axis, bool reverse, bool inclusive)
      : kernel_(kernel_of(op, in.dtype())),
        load_(tile_load(in.dtype())),
        store_(tile_store(in.dtype())),
        direct_(compute_dtype(in.dtype()) == in.dtype()),
        reverse_(reverse),
        shift_(inclusive ? 0 : 1),
        itemsize_(in.itemsize()),
        in_(in.data<char>()),
        out_(out.data<char>()),
        n_(in.shape(axis)) {
    for (int i = 0; i < axis; i++) outer_ *= in.shape(i);
    for (int i = axis + 1; i < static_cast<int>(in.ndim()); i++) inner_ *= in.shape(i);
  }

  void run() {
    if (inner_ > 1) {
      run_columns();
    } else if (outer_ < 16 && n_ >= 4 * chunk_elements) {
      run_chunks();
    } else {
      run_rows();
    }
  }

 private:
  struct Value {
    alignas(8) char bytes[max_value_size];
  };

  static const ScanKernel& kernel_of(ScanOp op, Dtype dtype) {
    int row = static_cast<int>(compute_dtype(dtype).val());
    return scan_table().kernels[static_cast<int>(op)][row];
  }

  Value identity() const {
    Value value;
    kernel_.fill(value.bytes, 1);
    return value;
  }

  /** Values that are scanned; without `inclusive` the last one is not. */
  int64_t scanned() const { return n_ - shift_; }

  /** Memory index of the first of `count` values from position `first` in scan order. */
  int64_t memory_index(int64_t first, int64_t count) const {
    return reverse_ ? n_ - first - count : first;
  }

  const char* in_at(int64_t row, int64_t first, int64_t count) const {
    return in_ + (row * n_ + memory_index(first, count)) * itemsize_;
  }
  char* out_at(int64_t row, int64_t first, int64_t count) const {
    return out_ + (row * n_ + memory_index(first, count)) * itemsize_;
  }

  void store_identity(int64_t row) const {
    Value value = identity();
    store_(value.bytes, 1, out_at(row, 0, 1), 1, 1);
  }

  /** Scans the values [begin, end) of a row, in scan order. */
  void scan_range(int64_t row, int64_t begin, int64_t end, Value& carry) const {
    auto scan = reverse_ ? kernel_.backward : kernel_.forward;
    if (direct_) {
      int64_t count = end - begin;
      scan(in_at(row, begin, count), out_at(row, begin + shift_, count), count, carry.bytes);
      return;
    }
    alignas(64) char tile[tile_size * max_value_size];
    for (int64_t b = begin; b < end; b += tile_size) {
      int64_t count = std::min(tile_size, end - b);
      load_(in_at(row, b, count), 1, tile, 1, count);
      scan(tile, tile, count, carry.bytes);
      store_(tile, 1, out_at(row, b + shift_, count), 1, count);
    }
  }

  void add_total(int64_t row, int64_t begin, int64_t end, Value& carry) const {
    alignas(64) char tile[tile_size * max_value_size];
    for (int64_t b = begin; b < end; b += tile_size) {
      int64_t count = std::min(tile_size, end - b);
      const char* from = in_at(row, b, count);
      if (!direct_) {
        load_(from, 1, tile, 1, count);
        from = tile;
      }
      kernel_.total(from, count, carry.bytes);
    }
  }

  void run_rows() const {
    parallel_for(outer_, std::max<int64_t>(1, grain_elements / n_),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t row = begin; row < end; row++) {
                     Value carry = identity();
                     if (shift_) store_identity(row);
                     scan_range(row, 0, scanned(), carry);
                   }
                 });
  }

  void run_chunks() const {
    int64_t chunks = (scanned() + chunk_elements - 1) / chunk_elements;
    std::unique_ptr<Value[]> carries(new Value[outer_ * chunks]);
    auto over_chunks = [&](auto&& work) {
      parallel_for(outer_ * chunks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) {
          int64_t first = i % chunks * chunk_elements;
          work(i / chunks, first, std::min(first + chunk_elements, scanned()), carries[i]);
        }
      });
    };
    over_chunks([&](int64_t row, int64_t begin, int64_t end, Value& total) {
      total = identity();
      add_total(row, begin, end, total);
    });
    for (int64_t row = 0; row < outer_; row++) {
      Value carry = identity();
      for (int64_t i = row * chunks; i < (row + 1) * chunks; i++) {
        Value total = carries[i];
        carries[i] = carry;
        kernel_.total(total.bytes, 1, carry.bytes);
      }
      if (shift_) store_identity(row);
    }
    over_chunks([&](int64_t row, int64_t begin, int64_t end, Value& carry) {
      scan_range(row, begin, end, carry);
    });
  }

  void run_columns() const {
    int64_t width = std::min(inner_, max_columns);
    int64_t tiles = (inner_ + width - 1) / width;
    parallel_for(outer_ * tiles, std::max<int64_t>(1, grain_elements / (n_ * width)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t task = begin; task < end; task++) {
                     int64_t first = task % tiles * width;
                     scan_columns(task / tiles, first, std::min(width, inner_ - first));
                   }
                 });
  }

  void scan_columns(int64_t block, int64_t first, int64_t width) const {
    alignas(64) char acc[max_columns * max_value_size];
    alignas(64) char tile[max_columns * max_value_size];
    auto offset = [&](int64_t position) {
      return ((block * n_ + memory_index(position, 1)) * inner_ + first) * itemsize_;
    };
    kernel_.fill(acc, width);
    if (shift_) store_(acc, 1, out_ + offset(0), 1, width);
    if (direct_) {
      int64_t stride = reverse_ ? -inner_ : inner_;
      kernel_.columns(in_ + offset(0), stride, out_ + offset(shift_), stride, scanned(), width,
                      acc);
      return;
    }
    for (int64_t i = 0; i < scanned(); i++) {
      load_(in_ + offset(i), 1, tile, 1, width);
      kernel_.columns(tile, 0, tile, 0, 1, width, acc);
      store_(acc, 1, out_ + offset(i + shift_), 1, width);
    }
  }

  const ScanKernel& kernel_;
  TileCopy load_, store_;
  bool direct_, reverse_;
  int64_t shift_, itemsize_;
  const char* in_;
  char* out_;
  int64_t n_, outer_ = 1, inner_ = 1;
};

void eval_scan(Scan& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array in = contiguous(inputs[0]);
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() != 0) {
    Scanner(primitive.op(), in, out, primitive.axis(), primitive.reverse(), primitive.inclusive())
        .run();
  }
}

const Register<Scan> scan(eval_scan);

}  // namespace

}  // namespace mlx::core::cpu
