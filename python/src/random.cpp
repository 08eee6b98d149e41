// Random numbers in Python. Calls without a key take the next one of this thread's `random.state`.
#include "mlx/random.h"

#include "mlx/core/errors.h"
#include "python/src/convert.h"
#include "python/src/random_state.h"

namespace mlx::python {

namespace {

using Key = std::optional<array>;

array to_float(Operand v, Dtype t) { return to_array(v, t); }

void bind_keys(nb::module_& m) {
  m.def("seed", &random::seed, "seed"_a, "Starts this thread's sequence of keys from a number.")
      .def("key", &random::key, "seed"_a, "The key that a number stands for.")
      .def(
          "split",
          [](const array& key, int num, StreamOrDevice s) { return random::split(key, num, s); },
          "key"_a, "num"_a = 2, "stream"_a = nb::none(), "`num` independent keys from one.");
}

void bind_continuous(nb::module_& m) {
  m.def(
      "uniform",
      [](Operand low, Operand high, const Ints& shape, std::optional<Dtype> dtype, const Key& key,
         StreamOrDevice s) {
        Dtype t = dtype.value_or(float32);
        return random::uniform(to_float(low, t), to_float(high, t), shape.shape(), t, key, s);
      },
      "low"_a = 0, "high"_a = 1, "shape"_a = nb::tuple(), "dtype"_a.none() = float32,
      "key"_a = nb::none(), "stream"_a = nb::none(),
      "Numbers evenly distributed in [low, high); the bounds broadcast to the shape.");
  m.def(
      "normal",
      [](const Ints& shape, std::optional<Dtype> dtype, std::optional<Operand> loc,
         std::optional<Operand> scale, const Key& key, StreamOrDevice s) {
        Dtype t = dtype.value_or(float32);
        auto convert = [t](const std::optional<Operand>& v) {
          return v ? std::optional<array>(to_float(*v, t)) : std::nullopt;
        };
        return random::normal(shape.shape(), t, convert(loc), convert(scale), key, s);
      },
      "shape"_a = nb::tuple(), "dtype"_a.none() = float32, "loc"_a = nb::none(),
      "scale"_a = nb::none(), "key"_a = nb::none(), "stream"_a = nb::none(),
      "Normally distributed numbers of mean `loc` (0) and standard deviation `scale` (1).");
  m.def(
      "laplace",
      [](const Ints& shape, std::optional<Dtype> dtype, float loc, float scale, const Key& key,
         StreamOrDevice s) {
        return random::laplace(shape.shape(), dtype.value_or(float32), loc, scale, key, s);
      },
      "shape"_a = nb::tuple(), "dtype"_a.none() = float32, "loc"_a = 0.0f, "scale"_a = 1.0f,
      "key"_a = nb::none(), "stream"_a = nb::none(), "Numbers of the Laplace distribution.");
  m.def(
      "gumbel",
      [](const Ints& shape, std::optional<Dtype> dtype, const Key& key, StreamOrDevice s) {
        return random::gumbel(shape.shape(), dtype.value_or(float32), key, s);
      },
      "shape"_a = nb::tuple(), "dtype"_a.none() = float32, "key"_a = nb::none(),
      "stream"_a = nb::none(), "Numbers of the standard Gumbel distribution.");
  m.def(
      "truncated_normal",
      [](Operand lower, Operand upper, const std::optional<Ints>& shape, std::optional<Dtype> dtype,
         const Key& key, StreamOrDevice s) {
        Dtype t = dtype.value_or(float32);
        array low = to_float(lower, t);
        array high = to_float(upper, t);
        return shape ? random::truncated_normal(low, high, shape->shape(), t, key, s)
                     : random::truncated_normal(low, high, t, key, s);
      },
      "lower"_a, "upper"_a, "shape"_a = nb::none(), "dtype"_a.none() = float32,
      "key"_a = nb::none(), "stream"_a = nb::none(),
      "Normally distributed numbers that fall within [lower, upper].");
  m.def(
      "multivariate_normal",
      [](const array& mean, const array& cov, const Ints& shape, std::optional<Dtype> dtype,
         const Key& key, StreamOrDevice s, const std::string& method) {
        return random::multivariate_normal(mean, cov, shape.shape(), dtype.value_or(float32),
                                           method, key, s);
      },
      "mean"_a, "cov"_a, "shape"_a = nb::tuple(), "dtype"_a.none() = float32, "key"_a = nb::none(),
      "stream"_a = nb::none(), "method"_a = "svd",
      "Jointly normal vectors with means (..., n) and covariances (..., n, n). `method` finds the\n"
      "root of the covariance: 'svd', 'eigh', or 'cholesky' for positive definite ones.");
}

array categorical(const array& logits, int axis, const std::optional<Ints>& shape,
                  std::optional<int> num_samples, const Key& key, StreamOrDevice s) {
  check(!shape || !num_samples, "categorical", "Pass at most one of shape and num_samples.");
  if (shape) {
    return random::categorical(logits, axis, shape->shape(), key, s);
  }
  return num_samples ? random::categorical(logits, axis, *num_samples, key, s)
                     : random::categorical(logits, axis, key, s);
}

void bind_discrete(nb::module_& m) {
  m.def(
      "randint",
      [](Operand low, Operand high, const Ints& shape, std::optional<Dtype> dtype, const Key& key,
         StreamOrDevice s) {
        auto [a, b] = to_arrays(low, high);
        return random::randint(a, b, shape.shape(), dtype.value_or(int32), key, s);
      },
      "low"_a, "high"_a, "shape"_a = nb::tuple(), "dtype"_a.none() = int32, "key"_a = nb::none(),
      "stream"_a = nb::none(), "Integers evenly distributed in [low, high).");
  m.def(
      "bernoulli",
      [](Operand p, const std::optional<Ints>& shape, const Key& key, StreamOrDevice s) {
        array probability = to_float(p, float32);
        return shape ? random::bernoulli(probability, shape->shape(), key, s)
                     : random::bernoulli(probability, key, s);
      },
      "p"_a = 0.5, "shape"_a = nb::none(), "key"_a = nb::none(), "stream"_a = nb::none(),
      "True with probability `p`; the shape is that of `p` unless given.");
  m.def(
      "categorical", &categorical, "logits"_a, "axis"_a = -1, "shape"_a = nb::none(),
      "num_samples"_a = nb::none(), "key"_a = nb::none(), "stream"_a = nb::none(),
      "Positions along an axis, drawn with probabilities softmax(logits), as uint32: one for each\n"
      "row, `num_samples` for each row, or as many as `shape` says.");
  m.def(
      "permutation",
      [](Operand x, int axis, const Key& key, StreamOrDevice s) {
        int n;
        if (!as_array(x.object) && load_int(x.object, n)) {
          return random::permutation(n, key, s);
        }
        return random::permutation(to_array(x), axis, key, s);
      },
      "x"_a, "axis"_a = 0, "key"_a = nb::none(), "stream"_a = nb::none(),
      "The slices of an array along an axis in random order, or the numbers below an int.");
}

}  // namespace

void bind_random(nb::module_& m) {
  auto random = m.def_submodule("random", "Random numbers from keys: the same key gives the same.");
  bind_random_state(random);
  bind_keys(random);
  bind_continuous(random);
  bind_discrete(random);
}

}  // namespace mlx::python
