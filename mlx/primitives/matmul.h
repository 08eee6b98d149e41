// Matrix products as nodes of the graph. Operands keep their own batch axes: batches broadcast by
// strides when the product runs, never by copies.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/utils.h"

namespace mlx::core {

/** a (..., m, k) times b (..., k, n), the leading axes broadcast: (..., m, n). */
class Matmul : public Described<Matmul> {
 public:
  using Described::Described;

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "Matmul"; }
  auto fields() const { return std::tie(); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
};

/** alpha * a b + beta * c for inputs (a, b, c); c broadcasts to the shape of the product. */
class AddMM : public Described<AddMM> {
 public:
  explicit AddMM(Stream stream, float alpha, float beta)
      : Described(stream), alpha_(alpha), beta_(beta) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "AddMM"; }
  auto fields() const { return std::tie(alpha_, beta_); }
  float alpha() const { return alpha_; }
  float beta() const { return beta_; }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

 private:
  float alpha_;
  float beta_;
};

/** The shape of a matrix product of operands with at least two axes each. */
Shape matmul_shape(const Shape& a, const Shape& b);

/** x with its last two axes exchanged, conjugated if complex: what derivatives multiply by. */
array adjoint(const array& x, Stream s);

/**
 * `in` with its mapped axis first and axes of extent 1 inserted after it, so that it has `ndim`
 * axes besides the mapped one. Without a mapped axis (-1), `in` itself.
 */
array align_mapped(const array& in, int axis, int ndim, Stream s);

}  // namespace mlx::core
