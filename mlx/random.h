// Random numbers from counters (Threefry-2x32): a key and a shape give the same values everywhere.
// A key is a uint32 array of shape (2); without one, the calling thread's KeySequence gives the
// next. Parameters of distributions broadcast to `shape`, which otherwise raises
// std::invalid_argument, as does a dtype that a distribution does not have.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core::random {

/** A key that is split for every key it gives; the default one serves calls without a key. */
class KeySequence {
 public:
  explicit KeySequence(uint64_t seed);
  void seed(uint64_t seed);
  /** A fresh key; the sequence goes on from another. */
  array next();
  /** The key that the next one will be split from: a uint32 array of shape (2). */
  const array& state() const { return key_; }
  /** Goes on from `key`. Throws std::invalid_argument unless it is uint32 of shape (2). */
  void set_state(array key);
  /** One per thread, seeded from the clock. */
  static KeySequence& default_();

 private:
  array key_;
};

/** The key of a seed: its high and its low 32 bits. */
array key(uint64_t seed);

/** Starts the calling thread's default key sequence anew. */
void seed(uint64_t seed);

/** Random bits: uint8, uint16 or uint32 for a width of 1, 2 or 4 bytes (4 if not given). */
array bits(const Shape& shape, int width, const std::optional<array>& key = std::nullopt,
           StreamOrDevice s = {});
array bits(const Shape& shape, const std::optional<array>& key = std::nullopt,
           StreamOrDevice s = {});

/** Two new keys, or `num` of them as an array of shape (num, 2). */
std::pair<array, array> split(const array& key, StreamOrDevice s = {});
array split(const array& key, int num, StreamOrDevice s = {});

/** A bound or a probability: an array or a C++ number. */
template <typename T>
concept Parameter = Scalar<T> || std::same_as<T, array>;

/** Uniform in [low, high), by default [0, 1): float32, or 24 bits rounded to float16 or bfloat16,
 *  where rounding can reach `high`. */
array uniform(const array& low, const array& high, const Shape& shape, Dtype dtype = float32,
              const std::optional<array>& key = std::nullopt, StreamOrDevice s = {});
template <Parameter T, Parameter U>
array uniform(T low, U high, const Shape& shape, Dtype dtype = float32,
              const std::optional<array>& key = std::nullopt, StreamOrDevice s = {}) {
  return uniform(array(low), array(high), shape, dtype, key, s);
}
array uniform(const Shape& shape, Dtype dtype, const std::optional<array>& key = std::nullopt,
              StreamOrDevice s = {});
array uniform(const Shape& shape, const std::optional<array>& key = std::nullopt,
              StreamOrDevice s = {});

/** Normal with mean `loc` and standard deviation `scale`, real or complex64 (each part of a
 * standard complex sample has variance 1/2). */
array normal(const Shape& shape, Dtype dtype, const std::optional<array>& loc,
             const std::optional<array>& scale, const std::optional<array>& key,
             StreamOrDevice s = {});
array normal(const Shape& shape, Dtype dtype, const float loc, const float scale,
             const std::optional<array>& key = std::nullopt, StreamOrDevice s = {});
array normal(const Shape& shape, const float loc, const float scale,
             const std::optional<array>& key = std::nullopt, StreamOrDevice s = {});
array normal(const Shape& shape, const Dtype dtype, const std::optional<array>& key = std::nullopt,
             StreamOrDevice s = {});
array normal(const Shape& shape, const std::optional<array>& key = std::nullopt,
             StreamOrDevice s = {});

/**
 * Jointly normal samples with means (…, n) and covariances (…, n, n), of a shape that their batch
 * broadcasts to. They are made from the root of the covariance that `method` finds: "svd", "eigh",
 * or "cholesky", which is faster and needs a positive definite matrix. `dtype` is float32.
 */
array multivariate_normal(const array& mean, const array& cov, const Shape& shape, Dtype dtype,
                          const std::optional<array>& key = std::nullopt, StreamOrDevice s = {});
array multivariate_normal(const array& mean, const array& cov, const Shape& shape, Dtype dtype,
                          const std::string& method, const std::optional<array>& key = std::nullopt,
                          StreamOrDevice s = {});

/** Integers in [low, high), made from 24 random bits; values past 2^24 apart are not all reached.
 *  `dtype` is any integer or bool. */
array randint(const array& low, const array& high, const Shape& shape, Dtype dtype = int32,
              const std::optional<array>& key = std::nullopt, StreamOrDevice s = {});

template <Parameter T, Parameter U>
array randint(T low, U high, const Shape& shape, Dtype dtype = int32,
              const std::optional<array>& key = std::nullopt, StreamOrDevice s = {}) {
  return randint(array(low), array(high), shape, dtype, key, s);
}

/** bool: true with probability `p` (a float array; by default one half). */
array bernoulli(const array& p, const Shape& shape, const std::optional<array>& key = std::nullopt,
                StreamOrDevice s = {});
array bernoulli(const array& p, const std::optional<array>& key = std::nullopt,
                StreamOrDevice s = {});
template <Scalar T>
array bernoulli(T p, const std::optional<array>& key = std::nullopt, StreamOrDevice s = {}) {
  return bernoulli(array(p), key, s);
}
template <Scalar T>
array bernoulli(T p, const Shape& shape, const std::optional<array>& key = std::nullopt,
                StreamOrDevice s = {}) {
  return bernoulli(array(p), shape, key, s);
}
/** A shape in braces could be read as a key. */
template <Scalar T>
array bernoulli(T p, std::initializer_list<ShapeElem> shape,
                const std::optional<array>& key = std::nullopt, StreamOrDevice s = {}) {
  return bernoulli(array(p), Shape(shape), key, s);
}
array bernoulli(const std::optional<array>& key = std::nullopt, StreamOrDevice s = {});

/** Standard normal within [lower, upper]. */
array truncated_normal(const array& lower, const array& upper, const Shape& shape,
                       Dtype dtype = float32, const std::optional<array>& key = std::nullopt,
                       StreamOrDevice s = {});
array truncated_normal(const array& lower, const array& upper, Dtype dtype = float32,
                       const std::optional<array>& key = std::nullopt, StreamOrDevice s = {});

/** Standard Gumbel: -log(-log(u)). */
array gumbel(const Shape& shape, Dtype dtype = float32,
             const std::optional<array>& key = std::nullopt, StreamOrDevice s = {});

/**
 * Indices (uint32) along `axis`, drawn with the probabilities softmax(logits, axis). The result has
 * the shape of the logits without `axis`; `shape` may prepend to it, `num_samples` appends to it.
 */
array categorical(const array& logits, int axis, const Shape& shape,
                  const std::optional<array>& key = std::nullopt, StreamOrDevice s = {});
array categorical(const array& logits_, int axis, int num_samples,
                  const std::optional<array>& key = std::nullopt, StreamOrDevice s = {});
array categorical(const array& logits, int axis = -1,
                  const std::optional<array>& key = std::nullopt, StreamOrDevice s = {});

/** Laplace with mean `loc` and scale `scale`. */
array laplace(const Shape& shape, Dtype dtype, const float loc, const float scale,
              const std::optional<array>& key = std::nullopt, StreamOrDevice s = {});
array laplace(const Shape& shape, const float loc, const float scale,
              const std::optional<array>& key = std::nullopt, StreamOrDevice s = {});
array laplace(const Shape& shape, const Dtype dtype, const std::optional<array>& key = std::nullopt,
              StreamOrDevice s = {});
array laplace(const Shape& shape, const std::optional<array>& key = std::nullopt,
              StreamOrDevice s = {});

/** The slices of `x` along `axis`, or the numbers 0 to x - 1 (uint32), in random order. */
array permutation(const array& x, int axis = 0, const std::optional<array>& key = std::nullopt,
                  StreamOrDevice s = {});
array permutation(int x, const std::optional<array>& key = std::nullopt, StreamOrDevice s = {});

}  // namespace mlx::core::random
