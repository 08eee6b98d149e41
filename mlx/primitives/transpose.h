// The node that permutes axes.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/primitives/rearrange.h"

namespace mlx::core {

/** Axis i of the output is axis axes[i] of the input. */
class Transpose : public Described<Transpose, Rearrangement> {
 public:
  Transpose(Stream s, std::vector<int> axes) : Described(s), axes_(std::move(axes)) {}
  const char* name() const override { return "Transpose"; }
  bool is_view() const override { return true; }
  auto fields() const { return std::tie(axes_); }
  array apply(const array& a) override;
  array apply_to_batch(const array& a) override;
  array transposed(const array& cotangent, const array& primal) override;
  Shape output_shape(const array& in) const override { return permuted(in.shape(), axes_); }
  const std::vector<int>& axes() const { return axes_; }

  /** The extents or strides of the axes in that order. */
  template <typename Extents>
  static Extents permuted(const Extents& extents, const std::vector<int>& axes) {
    Extents out;
    for (int axis : axes) {
      out.push_back(extents[axis]);
    }
    return out;
  }

 private:
  std::vector<int> axes_;
};

}  // namespace mlx::core
