// The batch of a product of matrices: which axes walk as one, where each product's matrices begin,
// and which axes are but more rows of one product.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "mlx/array.h"

namespace mlx::core {

/** One axis of a batch: its extent and what a step along it adds to each address, in elements. */
struct BatchAxis {
  int64_t size;
  int64_t a, b, out, c;
};

/** Where one product's matrices begin, in elements from those of the first. */
struct BatchPlace {
  int64_t a = 0, b = 0, out = 0, c = 0;
};

/** Strides of the axes in front of the last two over `axes` batch axes, 0 where `in` is broadcast;
 *  `strides` are those of `in` or others over its axes. */
Strides batch_strides(const array& in, const Strides& strides, size_t axes);

/** out = a b, plus c if there is one; `out` has the full batch and is row contiguous. */
class ProductBatch {
 public:
  ProductBatch(const array& a, const array& b, const array& out,
               const std::optional<Strides>& c_strides = std::nullopt);

  /**
   * Takes the innermost axis into the rows of a, out and c where b is the same along it and their
   * rows go on; returns whether it did. Products of one row take any axis if `any_stride`: its
   * steps become those between rows, and may be 0.
   */
  bool fold_into_rows(bool any_stride);

  /** How many products there are. */
  int64_t count() const;
  BatchPlace at(int64_t index) const { return place_at(axes, index); }
  static BatchPlace place_at(std::span<const BatchAxis> axes, int64_t index);

  /** Outermost first; none of extent 1. */
  std::vector<BatchAxis> axes;
  /** Of each product, with steps in elements. */
  int64_t rows, a_row, out_row, c_row = 0;

 private:
  bool adds_;
};

}  // namespace mlx::core
