// Quantisation on the CPU: groups over threads, a few at a time so that values and codes stay in
// the first cache.
#include <algorithm>

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/quantized/encode.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/backend/cpu/tile.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"
#include "mlx/primitives/quantized.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t grain_elements = 1 << 14;
constexpr int max_groups = tile_size / 16;

/** Largest number that a scale of nvfp4 times a value can be. */
constexpr float largest_unit = 6.0f * 448.0f;

int storage_of(Dtype dtype) { return dtype == float32 ? 0 : dtype == float16 ? 1 : 2; }
int mode_of(const QuantizedFormat& format) { return static_cast<int>(format.mode) - 1; }

/** The global scales of the matrices of a batch, as factors of values. */
class GlobalFactors {
 public:
  GlobalFactors(const array* scale, const Shape& matrix) : scale_(scale) {
    if (!scale || scale->size() == 1) return;
    batch_ = Shape(matrix.begin(), matrix.end() - 2);
    strides_ = broadcast_strides(*scale, batch_);
    rows_ = matrix[matrix.size() - 2];
  }

  /** Of the matrix that the row lies in. */
  float at_row(int64_t row) const {
    if (!scale_) return 1.0f;
    int64_t matrix = batch_.empty() ? 0 : row / rows_;
    return scale_->data<float>()[element_offset(matrix, batch_, strides_)] / largest_unit;
  }

 private:
  const array* scale_;
  Shape batch_;
  Strides strides_;
  int64_t rows_ = 1;
};

/** Calls f(first group, groups, row) for runs of groups of one row, spread over threads. */
template <typename F>
void for_runs(const QuantizedFormat& format, int64_t rows, int64_t row_groups, F f) {
  int64_t run = std::max<int64_t>(1, tile_size / format.group_size);
  int64_t grain = std::max<int64_t>(1, grain_elements / (row_groups * format.group_size));
  parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
      for (int64_t i = 0; i < row_groups; i += run) {
        f(row * row_groups + i, std::min(run, row_groups - i), row);
      }
    }
  });
}

void allocate(std::vector<array>& outputs) {
  for (auto& out : outputs) out.set_data(allocator::malloc(out.nbytes()));
}

char* element(const array& a, int64_t i) {
  return const_cast<array&>(a).data<char>() + i * static_cast<int64_t>(a.itemsize());
}

void eval_quantize(Quantize& primitive, const std::vector<array>& inputs,
                   std::vector<array>& outputs) {
  const QuantizedFormat& format = primitive.format();
  allocate(outputs);
  if (outputs[1].size() == 0) return;
  array w = contiguous(inputs[0]);
  GlobalFactors global(inputs.size() > 1 ? &inputs[1] : nullptr, w.shape());
  auto& table = encode_table();
  auto load = tile_load(w.dtype()), store = tile_store(w.dtype());
  int size = format.group_size, row_groups = outputs[1].shape(-1);
  auto run = [&](int64_t first, int64_t count, int64_t row) {
    float values[tile_size], scales[max_groups], biases[max_groups];
    uint8_t codes[tile_size];
    load(element(w, first * size), 1, values, 1, count * size);
    if (format.has_biases()) {
      table.encode_affine(values, {count, size}, format.bits, codes, scales, biases);
      store(scales, 1, element(outputs[1], first), 1, count);
      store(biases, 1, element(outputs[2], first), 1, count);
    } else {
      auto encode = table.encode_float[mode_of(format)][storage_of(w.dtype())];
      encode(values, {count, size}, global.at_row(row), codes, outputs[1].data<uint8_t>() + first);
    }
    table.pack[format.bits](codes, count * size,
                            outputs[0].data<uint8_t>() + first * size * format.bits / 8);
  };
  for_runs(format, static_cast<int64_t>(outputs[1].size()) / row_groups, row_groups, run);
}

const Register<Quantize> quantize(eval_quantize);

}  // namespace

}  // namespace mlx::core::cpu
