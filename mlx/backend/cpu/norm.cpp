// Norms on the CPU: rows over threads; the parameters' gradients add up in a fixed number of parts,
// so that they do not depend on the number of threads.
#include "mlx/backend/cpu/norm.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/norm_kernels.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/backend/cpu/tile.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t grain_elements = 1 << 14;

template <typename T>
const NormKernel<T>& kernel_for() {
  if constexpr (std::is_same_v<T, double>) {
    return norm_table().f64;
  } else {
    return norm_table().f32;
  }
}

/** A contiguous array as rows of T, converted where its dtype is another one. */
template <typename T>
class Rows {
 public:
  Rows(const array& a, int64_t n)
      : load_(tile_load(a.dtype())),
        store_(tile_store(a.dtype())),
        direct_(a.dtype() == stored_dtype<T>),
        data_(const_cast<array&>(a).data<char>()),
        n_(n),
        itemsize_(a.itemsize()) {}

  /** The row, or `buffer` filled with it. */
  const T* get(int64_t row, T* buffer) const {
    char* at = data_ + row * n_ * itemsize_;
    if (direct_) return reinterpret_cast<const T*>(at);
    load_(at, 1, buffer, 1, n_);
    return buffer;
  }
  /** Where to write the row before `put`. */
  T* target(int64_t row, T* buffer) const {
    return direct_ ? reinterpret_cast<T*>(data_ + row * n_ * itemsize_) : buffer;
  }
  void put(int64_t row, const T* values) const {
    char* at = data_ + row * n_ * itemsize_;
    if (static_cast<const void*>(at) != values) store_(values, 1, at, 1, n_);
  }

 private:
  TileCopy load_, store_;
  bool direct_;
  char* data_;
  int64_t n_, itemsize_;
};

/** The rows of x + residual, stored to `sum` and rounded as they are there. */
template <typename T>
class SumRows {
 public:
  SumRows(const NormOperands& operands, int64_t n)
      : residual_(*operands.residual, n), sum_(*operands.sum, n), n_(n) {}

  /** `buffers` has room for two rows. */
  const T* add(int64_t row, const T* x, T* buffers) const {
    T* to = sum_.target(row, buffers);
    kernel_for<T>().add(x, residual_.get(row, buffers + n_), to, n_);
    sum_.put(row, to);
    return sum_.get(row, buffers);
  }

 private:
  Rows<T> residual_, sum_;
  int64_t n_;
};

template <typename T>
void run_forward(const NormSpec& spec, const NormOperands& operands) {
  int64_t n = operands.x.shape(-1), rows = static_cast<int64_t>(operands.x.size()) / n;
  std::unique_ptr<T[]> parameters(new T[2 * n]);
  auto parameter = [&](const array* a, int64_t at) {
    return a ? Rows<T>(*a, n).get(0, parameters.get() + at) : nullptr;
  };
  const T *weight = parameter(operands.weight, 0), *bias = parameter(operands.bias, n);
  Rows<T> x(operands.x, n), y(operands.out, n);
  std::optional<SumRows<T>> sum;
  if (operands.residual) sum.emplace(operands, n);
  parallel_for(rows, std::max<int64_t>(1, grain_elements / n), [&](int64_t begin, int64_t end) {
    std::unique_ptr<T[]> buffers(new T[2 * n]);
    for (int64_t row = begin; row < end; row++) {
      const T* from = x.get(row, buffers.get());
      if (sum) from = sum->add(row, from, buffers.get());
      T* to = y.target(row, buffers.get());
      kernel_for<T>().forward(from, weight, bias, to, n, static_cast<T>(spec.eps),
                              spec.kind == NormSpec::Layer);
      y.put(row, to);
    }
  });
}

/** Adds the parts' rows and stores them as the gradient of a parameter. */
template <typename T>
void store_parameter(const T* parts, int64_t count, int64_t n, int64_t stride, array& out) {
  std::unique_ptr<double[]> sums(new double[n]());
  for (int64_t p = 0; p < count; p++) {
    for (int64_t j = 0; j < n; j++) sums[j] += parts[p * stride + j];
  }
  std::unique_ptr<T[]> total(new T[n]);
  std::copy_n(sums.get(), n, total.get());
  Rows<T>(out, n).put(0, total.get());
}

template <typename T>
void run_backward(const NormSpec& spec, const std::vector<array>& inputs,
                  std::vector<array>& outputs) {
  int64_t n = outputs[0].shape(-1);
  int64_t rows = static_cast<int64_t>(outputs[0].size()) / n;
  int64_t per_part = std::max<int64_t>({1, grain_elements / n, (rows + 63) / 64});
  int64_t parts = (rows + per_part - 1) / per_part;
  int64_t stride = 2 * n;
  std::unique_ptr<T[]> sums(new T[parts * stride]());
  std::unique_ptr<T[]> parameter(new T[n]);
  const T* weight = spec.has_weight ? Rows<T>(inputs[1], n).get(0, parameter.get()) : nullptr;
  Rows<T> x(inputs[0], n), cotangent(inputs.back(), n), grad(outputs[0], n);
  parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
    std::unique_ptr<T[]> buffers(new T[2 * n]);
    for (int64_t part = begin; part < end; part++) {
      T* weight_sum = spec.has_weight ? sums.get() + part * stride : nullptr;
      T* bias_sum = spec.has_bias ? sums.get() + part * stride + n : nullptr;
      for (int64_t row = part * per_part; row < std::min(rows, (part + 1) * per_part); row++) {
        T* to = grad.target(row, buffers.get() + n);
        kernel_for<T>().backward(x.get(row, buffers.get()), weight,
                                 cotangent.get(row, buffers.get() + n), to, weight_sum, bias_sum, n,
                                 static_cast<T>(spec.eps), spec.kind == NormSpec::Layer);
        grad.put(row, to);
      }
    }
  });
  if (spec.has_weight) store_parameter(sums.get(), parts, n, stride, outputs[1]);
  if (spec.has_bias) store_parameter(sums.get() + n, parts, n, stride, outputs.back());
}

/** Gives `out` memory: that of `in` if nobody else needs it. */
void take_over(const array& in, array& out) {
  if (in.flags().row_contiguous && can_donate(in, out)) {
    out.copy_shared_buffer(in);
  } else {
    out.set_data(allocator::malloc(out.nbytes()));
  }
}

std::vector<array> contiguous_inputs(const std::vector<array>& inputs) {
  std::vector<array> all;
  for (const auto& in : inputs) all.push_back(contiguous(in));
  return all;
}

}  // namespace

void run_norm(const NormSpec& spec, const NormOperands& operands) {
  if (operands.out.dtype() == float64) {
    run_forward<double>(spec, operands);
  } else {
    run_forward<float>(spec, operands);
  }
}

namespace {

void eval_norm(Norm& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  take_over(inputs[0], out);
  if (out.size() == 0) {
    return;
  }
  auto dense = contiguous_inputs(inputs);
  run_norm(primitive.spec(), {dense[0], nullptr, primitive.spec().has_weight ? &dense[1] : nullptr,
                              primitive.spec().has_bias ? &dense.back() : nullptr, out, nullptr});
}

void eval_norm_backward(NormBackward& primitive, const std::vector<array>& inputs,
                        std::vector<array>& outputs) {
  take_over(inputs.back(), outputs[0]);
  for (size_t i = 1; i < outputs.size(); i++) {
    outputs[i].set_data(allocator::malloc(outputs[i].nbytes()));
  }
  if (inputs[0].shape(-1) == 0) {
    return;
  }
  if (inputs[0].dtype() == float64) {
    run_backward<double>(primitive.spec(), contiguous_inputs(inputs), outputs);
  } else {
    run_backward<float>(primitive.spec(), contiguous_inputs(inputs), outputs);
  }
}

const Register<Norm> norm(eval_norm);
const Register<NormBackward> norm_backward(eval_norm_backward);

}  // namespace

}  // namespace mlx::core::cpu
