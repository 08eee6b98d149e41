// Quantised matrices on the CPU. The products of a batch that share a matrix run as one, whether
// they share it by broadcasting or because indices pick it.
#include "mlx/primitives/quantized.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "mlx/backend/common/product_batch.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/quantized/product.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/errors.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

// What a global scale is relative to: the largest scale, 448, times the largest code, 6.
constexpr float kGlobalUnit = 448 * 6;
constexpr int64_t kGrainValues = 1 << 14;

Code code_of(const QuantizedFormat& format) {
  if (format.mode == QuantizationMode::Mxfp8) return Code::e4m3;
  if (format.mode != QuantizationMode::Affine) return Code::e2m1;
  constexpr Code by_bits[] = {Code::u1, Code::u2, Code::u3, Code::u4,
                              Code::u5, Code::u6, Code::u6, Code::u8};
  return by_bits[format.bits - 1];
}

Scale scale_of(const QuantizedFormat& format, Dtype dtype) {
  if (format.mode == QuantizationMode::Nvfp4) return Scale::e4m3;
  if (format.mode != QuantizationMode::Affine) return Scale::e8m0;
  return dtype == float32 ? Scale::f32 : dtype == float16 ? Scale::f16 : Scale::bf16;
}

/** The array, or a copy in rows, if its rows are not contiguous. */
array with_rows(const array& in) {
  return in.strides(-1) == 1 || in.shape(-1) == 1 ? in : contiguous(in);
}

/** Where entry `index` of the batch begins, whose elements have so many axes (or all there are). */
int64_t element_at(const array& in, int64_t index, int axes) {
  int missing = std::min(axes, static_cast<int>(in.ndim()));
  Shape batch(in.shape().begin(), in.shape().end() - missing);
  Strides strides(in.strides().begin(), in.strides().end() - missing);
  return element_offset(index, batch, strides);
}

/** The matrices of a quantised operand, by their index in its batch. */
class Matrices {
 public:
  Matrices(const QuantizedFormat& format, const QuantizedWeight& weight)
      : format_(format), packed_(with_rows(weight.packed)), scales_(with_rows(weight.scales)) {
    if (weight.biases) add_biases(with_rows(*weight.biases));
    if (weight.global_scale) global_.push_back(*weight.global_scale);
  }

  /** Matrices in the batch, rows of each and values of a row. */
  int64_t count() const {
    return num_elements(Shape(packed_.shape().begin(), packed_.shape().end() - inner_axes()));
  }
  int64_t rows() const { return packed_.ndim() < 2 ? 1 : packed_.shape(-2); }
  int64_t depth() const { return format_.values(packed_.shape(-1)); }

  QuantizedRows matrix(int64_t index) const {
    QuantizedRows w = {};
    w.codes = packed_.data<uint8_t>() + element_at(packed_, index, 2) * 4;
    w.row_bytes = row_stride(packed_) * 4;
    w.scales = entries(scales_, index);
    if (!biases_.empty()) w.biases = entries(biases_[0], index);
    w.row_groups = row_stride(scales_);
    w.depth = depth();
    w.scale = scale_of(format_, scales_.dtype());
    w.group = format_.group_size;
    return w;
  }

  float factor(int64_t index) const {
    if (global_.empty()) return 1;
    Shape batch(packed_.shape().begin(), packed_.shape().end() - inner_axes());
    int64_t at = element_offset(index, batch, broadcast_strides(global_[0], batch));
    return global_[0].data<float>()[at] / kGlobalUnit;
  }

 private:
  /** Rows of scales and biases are to be equally far apart. */
  void add_biases(const array& biases) {
    bool alike = row_stride(biases) == row_stride(scales_);
    biases_.push_back(alike ? biases : contiguous(biases));
    if (!alike) scales_ = contiguous(scales_);
  }
  int inner_axes() const { return std::min(2, static_cast<int>(packed_.ndim())); }
  static int64_t row_stride(const array& in) { return in.ndim() < 2 ? 0 : in.strides(-2); }
  static const char* entries(const array& in, int64_t index) {
    return in.data<char>() + element_at(in, index, 2) * static_cast<int64_t>(in.itemsize());
  }

  QuantizedFormat format_;
  array packed_, scales_;
  std::vector<array> biases_, global_;
};

/** One product of the batch: the matrix, and where its rows of x start, in elements. */
struct Item {
  int64_t matrix, x, out;
};

/** Products of items [begin, end), which share a matrix, as one. */
void multiply_items(QuantizedProduct p, const Matrices& matrices, const std::vector<Item>& items,
                    size_t begin, size_t end, int64_t x_stride) {
  std::vector<int64_t> x_rows, out_rows;
  int64_t m = p.m;
  x_rows.reserve((end - begin) * m);
  out_rows.reserve((end - begin) * m);
  for (size_t i = begin; i < end; i++) {
    for (int64_t r = 0; r < m; r++) {
      x_rows.push_back(items[i].x + r * x_stride);
      out_rows.push_back(items[i].out + r * p.n);
    }
  }
  p.m = static_cast<int64_t>(x_rows.size());
  p.x_rows = x_rows.data();
  p.out_rows = out_rows.data();
  p.w = matrices.matrix(items[begin].matrix);
  p.factor = matrices.factor(items[begin].matrix);
  multiply_quantized(p);
}

/** Runs the products of all items; those of the same matrix stand next to each other. */
void multiply(const QuantizedFormat& format, bool transpose, const array& x,
              const Matrices& matrices, const std::vector<Item>& items, array& out) {
  QuantizedProduct p;
  p.dtype = out.dtype();
  p.x = x.data<char>();
  p.out = out.data<char>();
  p.m = out.shape(-2);
  p.n = out.shape(-1);
  p.k = x.shape(-1);
  if (p.k == 0) {
    std::fill_n(out.data<char>(), out.nbytes(), 0);
    return;
  }
  p.code = code_of(format);
  p.transposed = transpose;
  std::vector<size_t> bounds;
  for (size_t i = 0; i < items.size(); i++) {
    if (i == 0 || items[i].matrix != items[i - 1].matrix) bounds.push_back(i);
  }
  int64_t groups = static_cast<int64_t>(bounds.size());
  bounds.push_back(items.size());
  auto range = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      multiply_items(p, matrices, items, bounds[i], bounds[i + 1], x.strides(-2));
    }
  };
  if (groups < 2 * num_threads()) return range(0, groups);
  int64_t rows = static_cast<int64_t>(items.size()) * p.m;
  double work = static_cast<double>(rows) / static_cast<double>(groups) * static_cast<double>(p.n) *
                static_cast<double>(p.k);
  parallel_for(groups, static_cast<int64_t>((1 << 16) / std::max(work, 1.0)), range);
}

/** Numbers of the matrices of a batch in its own order, as strides. */
Strides index_strides(const array& in) {
  Strides strides(in.ndim(), 0);
  int64_t step = 1;
  for (int i = static_cast<int>(in.ndim()) - 3; i >= 0; i--) {
    strides[i] = step;
    step *= in.shape()[i];
  }
  return strides;
}

void eval_matmul(QuantizedMatmul& primitive, const std::vector<array>& inputs,
                 std::vector<array>& outputs) {
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) return;
  array x = with_rows(inputs[0]);
  QuantizedWeight weight = quantized_weight(primitive.format(), inputs, 1);
  Matrices matrices(primitive.format(), weight);
  Shape batch(out.shape().begin(), out.shape().end() - 2);
  Strides x_strides = batch_strides(x, x.strides(), batch.size());
  Strides w_strides = batch_strides(weight.packed, index_strides(weight.packed), batch.size());
  int64_t each = int64_t{out.shape(-2)} * out.shape(-1);
  std::vector<Item> items(out.size() / each);
  for (int64_t i = 0; i < static_cast<int64_t>(items.size()); i++) {
    items[i] = {element_offset(i, batch, w_strides), element_offset(i, batch, x_strides), i * each};
  }
  multiply(primitive.format(), primitive.transpose(), x, matrices, items, out);
}

/** Index i of an array of indices, of those from -count to count - 1. */
int64_t index_at(const array& indices, int64_t i, int64_t count) {
  int64_t at = element_offset(i, indices.shape(), indices.strides());
  int64_t index = indices.data<int64_t>()[at];
  int64_t wrapped = index < 0 ? index + count : index;
  if (wrapped < 0 || wrapped >= count) {
    throw std::out_of_range(error_message("gather_qmm", "Index ", index, " is out of bounds for ",
                                          count, " matrices."));
  }
  return wrapped;
}

void eval_gather(GatherQuantizedMatmul& primitive, const std::vector<array>& inputs,
                 std::vector<array>& outputs) {
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) return;
  array x = with_rows(inputs[0]);
  Matrices matrices(primitive.format(), quantized_weight(primitive.format(), inputs, 3));
  int64_t each = int64_t{out.shape(-2)} * out.shape(-1);
  int64_t x_count =
      std::accumulate(x.shape().begin(), x.shape().end() - 2, int64_t{1}, std::multiplies<>());
  std::vector<Item> items(out.size() / each);
  for (int64_t i = 0; i < static_cast<int64_t>(items.size()); i++) {
    int64_t lhs = index_at(inputs[1], i, x_count);
    items[i] = {index_at(inputs[2], i, matrices.count()), element_at(x, lhs, 2), i * each};
  }
  if (!primitive.sorted()) {
    std::stable_sort(items.begin(), items.end(),
                     [](const Item& a, const Item& b) { return a.matrix < b.matrix; });
  }
  multiply(primitive.format(), primitive.transpose(), x, matrices, items, out);
}

/** The dtype that kernels dequantise to: affine values are rounded to the dtype of their scales
 *  before they get that of the output. */
Dtype dequantized_type(const Dequantize& primitive, const QuantizedWeight& weight) {
  if (primitive.format().has_biases()) return weight.scales.dtype();
  return primitive.dtype() == float64 ? float32 : primitive.dtype();
}

void eval_dequantize(Dequantize& primitive, const std::vector<array>& inputs,
                     std::vector<array>& outputs) {
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) return;
  QuantizedWeight weight = quantized_weight(primitive.format(), inputs, 0);
  Matrices matrices(primitive.format(), weight);
  array values = out;
  Dtype dtype = dequantized_type(primitive, weight);
  if (dtype != out.dtype()) {
    values = array(out.shape(), dtype, nullptr, {});
    values.set_data(allocator::malloc(values.nbytes()));
  }
  auto dequantize = quantized_kernels().dequantize[static_cast<int>(code_of(primitive.format()))];
  int64_t rows = matrices.rows(), depth = matrices.depth();
  int64_t row_bytes = depth * static_cast<int64_t>(values.itemsize());
  parallel_for(matrices.count() * rows, kGrainValues / depth + 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      QuantizedRows w = matrices.matrix(i / rows);
      dequantize(rows_from(w, i % rows), matrices.factor(i / rows), dtype.val(),
                 values.data<char>() + i * row_bytes);
    }
  });
  if (dtype != out.dtype()) copy(values, out);
}

const Register<QuantizedMatmul> quantized_matmul(eval_matmul);
const Register<GatherQuantizedMatmul> gather_quantized_matmul(eval_gather);
const Register<Dequantize> dequantize(eval_dequantize);

}  // namespace

}  // namespace mlx::core::cpu
