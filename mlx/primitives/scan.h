// Running folds along one axis: cumsum, cumprod, cummax, cummin, logcumsumexp.
#pragma once

#include "mlx/primitives/described.h"

namespace mlx::core {

enum class ScanOp : uint8_t { Sum, Prod, Max, Min, LogAddExp };

/**
 * out[i] = fold of in[0..i] along `axis`, of in[i..] if `reverse`; without `inclusive` the element
 * itself is left out and the first result is the identity. Max and Min are inclusive only. The
 * result has the dtype of the input; half types compute in float32.
 */
class Scan : public Described<Scan> {
 public:
  Scan(Stream stream, ScanOp op, int axis, bool reverse, bool inclusive)
      : Described(stream), op_(op), axis_(axis), reverse_(reverse), inclusive_(inclusive) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override;
  auto fields() const { return std::tie(op_, axis_, reverse_, inclusive_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }

  ScanOp op() const { return op_; }
  int axis() const { return axis_; }
  bool reverse() const { return reverse_; }
  bool inclusive() const { return inclusive_; }

 private:
  array scan(ScanOp op, const array& x, bool reverse) const;
  array run(const array& x) const { return scan(op_, x, reverse_); }
  array prod_vjp(const array& x, const array& y, const array& cotangent) const;
  array prod_jvp(const array& x, const array& y, const array& tangent) const;
  array sources(const array& x, const array& y) const;

  ScanOp op_;
  int axis_;
  bool reverse_, inclusive_;
};

}  // namespace mlx::core
