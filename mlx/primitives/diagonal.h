// The node that reads a diagonal.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/primitives/rearrange.h"

namespace mlx::core {

/** The diagonal of the last two axes, `offset` above the main one, as the last axis. */
class Diagonal : public Described<Diagonal, Rearrangement> {
 public:
  Diagonal(Stream s, int offset) : Described(s), offset_(offset) {}
  const char* name() const override { return "Diagonal"; }
  bool is_view() const override { return true; }
  auto fields() const { return std::tie(offset_); }
  array apply(const array& a) override;
  array apply_to_batch(const array& a) override { return apply(a); }
  array transposed(const array& cotangent, const array& primal) override;
  Shape output_shape(const array& in) const override { return without_last(in.shape(), offset_); }
  int offset() const { return offset_; }

  static Shape without_last(const Shape& shape, int offset);

 private:
  int offset_;
};

}  // namespace mlx::core
