// Batch normalisation on the CPU: one pass for the statistics and one that writes, forward and
// backward. Sums are taken over chunks of rows that follow from the shape alone, and put together
// in double.
#include "mlx/primitives/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "mlx/backend/cpu/batch_norm_kernels.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kChunkElements = 1 << 13;
constexpr int64_t kMostChunks = 64;
constexpr int64_t kGrainElements = 1 << 14;

template <typename T>
const BatchNormKernel<T>& kernel_for() {
  if constexpr (std::is_same_v<T, double>) {
    return batch_norm_table().f64;
  } else {
    return batch_norm_table().f32;
  }
}

/** Rows of channels, and the chunks of them that have sums of their own. */
struct Rows {
  explicit Rows(const array& x)
      : channels(x.shape(-1)), count(static_cast<int64_t>(x.size()) / channels) {
    int64_t fitting = std::max<int64_t>(kChunkElements / channels, 1);
    chunk = std::max(fitting, (count + kMostChunks - 1) / kMostChunks);
    chunks = (count + chunk - 1) / chunk;
  }

  int64_t rows_of(int64_t i) const { return std::min(chunk, count - i * chunk); }

  /** Calls f(chunk) in parallel. */
  template <typename F>
  void for_chunks(F&& f) const {
    int64_t grain = std::max<int64_t>(kGrainElements / (chunk * channels), 1);
    parallel_for(chunks, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) f(i);
    });
  }

  /** Calls f(offset, rows) in parallel for all rows. */
  template <typename F>
  void for_rows(F&& f) const {
    parallel_for(count, std::max<int64_t>(kGrainElements / channels, 1),
                 [&](int64_t begin, int64_t end) { f(begin * channels, end - begin); });
  }

  int64_t channels, count, chunk, chunks;
};

template <typename T>
struct Moments {
  std::vector<double> mean, variance;

  Moments(const T* x, const Rows& rows) : mean(rows.channels), variance(rows.channels) {
    int64_t c = rows.channels;
    std::vector<T> sums(2 * rows.chunks * c);
    rows.for_chunks([&](int64_t i) {
      T* at = sums.data() + 2 * i * c;
      kernel_for<T>().moments(x + i * rows.chunk * c, rows.rows_of(i), c, at, at + c);
    });
    // The kernel's sums are of distances to the chunk's first row.
    for (int64_t i = 0; i < rows.chunks; ++i) {
      const T *first = x + i * rows.chunk * c, *sum = sums.data() + 2 * i * c;
      auto n = static_cast<double>(rows.rows_of(i));
      for (int64_t j = 0; j < c; ++j) mean[j] += n * first[j] + sum[j];
    }
    double share = 1 / static_cast<double>(rows.count);
    for (double& m : mean) m *= share;
    for (int64_t i = 0; i < rows.chunks; ++i) {
      const T *first = x + i * rows.chunk * c, *sum = sums.data() + 2 * i * c;
      auto n = static_cast<double>(rows.rows_of(i));
      for (int64_t j = 0; j < c; ++j) {
        double away = first[j] - mean[j];
        variance[j] += sum[c + j] + away * (2 * sum[j] + n * away);
      }
    }
    for (double& v : variance) v = std::max(v * share, 0.0);
  }
};

template <typename T>
void forward(const BatchNorm& primitive, const std::vector<array>& inputs,
             std::vector<array>& outputs) {
  array x = contiguous(inputs[0]), weight = contiguous(inputs[1]), bias = contiguous(inputs[2]);
  Rows rows(x);
  Moments<T> moments(x.data<T>(), rows);
  T *mean = outputs[1].data<T>(), *variance = outputs[2].data<T>();
  std::vector<T> scale(rows.channels);
  for (int64_t j = 0; j < rows.channels; ++j) {
    mean[j] = static_cast<T>(moments.mean[j]);
    variance[j] = static_cast<T>(moments.variance[j]);
    scale[j] = weight.data<T>()[j] / std::sqrt(variance[j] + static_cast<T>(primitive.eps()));
  }
  rows.for_rows([&](int64_t at, int64_t count) {
    kernel_for<T>().normalise(x.data<T>() + at, mean, scale.data(), bias.data<T>(), count,
                              rows.channels, outputs[0].data<T>() + at);
  });
}

/** gradient of x = cotangent * scale + (x - mean) * slope + shift, for each channel. */
template <typename T>
struct Slopes {
  std::vector<T> scale, slope, shift;
};

/** Also gives the gradients of weight and bias. */
template <typename T>
Slopes<T> slopes_of(const Rows& rows, float eps, const std::vector<array>& inputs, const T* sums,
                    std::vector<array>& outputs) {
  int64_t c = rows.channels;
  double share = 1 / static_cast<double>(rows.count);
  const T *weight = inputs[1].data<T>(), *variance = inputs[3].data<T>();
  Slopes<T> s{std::vector<T>(c), std::vector<T>(c), std::vector<T>(c)};
  for (int64_t j = 0; j < c; ++j) {
    double sum = 0, product = 0;
    for (int64_t i = 0; i < rows.chunks; ++i) {
      sum += sums[2 * i * c + j];
      product += sums[(2 * i + 1) * c + j];
    }
    double inverse = 1 / std::sqrt(static_cast<double>(variance[j]) + eps);
    double scale = weight[j] * inverse;
    double through_deviation = scale * inverse * inverse * product;
    s.scale[j] = static_cast<T>(scale);
    s.slope[j] = static_cast<T>((2.0 * inputs[6].data<T>()[j] - through_deviation) * share);
    s.shift[j] = static_cast<T>((inputs[5].data<T>()[j] - scale * sum) * share);
    outputs[1].data<T>()[j] = static_cast<T>(product * inverse);
    outputs[2].data<T>()[j] = static_cast<T>(sum);
  }
  return s;
}

template <typename T>
void backward(const BatchNormBackward& primitive, std::vector<array> inputs,
              std::vector<array>& outputs) {
  for (array& in : inputs) in = contiguous(in);
  Rows rows(inputs[0]);
  const T *x = inputs[0].data<T>(), *mean = inputs[2].data<T>(), *y = inputs[4].data<T>();
  int64_t c = rows.channels;
  std::vector<T> sums(2 * rows.chunks * c);
  rows.for_chunks([&](int64_t i) {
    T* to = sums.data() + 2 * i * c;
    int64_t at = i * rows.chunk * c;
    kernel_for<T>().products(x + at, mean, y + at, rows.rows_of(i), c, to, to + c);
  });
  Slopes<T> s = slopes_of<T>(rows, primitive.eps(), inputs, sums.data(), outputs);
  rows.for_rows([&](int64_t at, int64_t count) {
    kernel_for<T>().gradient(x + at, mean, y + at, s.scale.data(), s.slope.data(), s.shift.data(),
                             count, c, outputs[0].data<T>() + at);
  });
}

void eval_batch_norm(BatchNorm& primitive, const std::vector<array>& inputs,
                     std::vector<array>& outputs) {
  for (array& out : outputs) out.set_data(allocator::malloc(out.nbytes()));
  if (inputs[0].dtype() == float64) {
    forward<double>(primitive, inputs, outputs);
  } else {
    forward<float>(primitive, inputs, outputs);
  }
}

void eval_batch_norm_backward(BatchNormBackward& primitive, const std::vector<array>& inputs,
                              std::vector<array>& outputs) {
  const array& cotangent = inputs[4];
  bool over = cotangent.flags().row_contiguous && write_over(cotangent, outputs[0]);
  for (size_t i = over ? 1 : 0; i < outputs.size(); ++i) {
    outputs[i].set_data(allocator::malloc(outputs[i].nbytes()));
  }
  if (inputs[0].dtype() == float64) {
    backward<double>(primitive, inputs, outputs);
  } else {
    backward<float>(primitive, inputs, outputs);
  }
}

/** Half types round after each of the plain ops; nothing has no mean. */
template <typename P>
bool supports(const P&, const std::vector<array>& inputs) {
  Dtype dtype = inputs[0].dtype();
  return (dtype == float32 || dtype == float64) && inputs[0].size() > 0;
}

const Register<BatchNorm> batch_norm(eval_batch_norm, supports<BatchNorm>);
const Register<BatchNormBackward> batch_norm_backward(eval_batch_norm_backward,
                                                      supports<BatchNormBackward>);

}  // namespace

}  // namespace mlx::core::cpu
