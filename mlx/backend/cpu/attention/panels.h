// Attention's operands in the panels of the product engine's micro kernels, widened to float, and
// masks in the panels of scores. Wide panels hold queries side by side, narrow ones keys or
// columns.
#pragma once

#include "mlx/backend/cpu/attention/kernels.h"
#include "mlx/backend/cpu/attention/shape.h"
#include "mlx/backend/cpu/gemm/kernels.h"

namespace mlx::core::cpu {

/** Rows of queries, or of what has the shape of queries, that share a head of keys. */
struct QueryRows {
  int64_t batch, head, first, count;
};

/** Keys, or values, of one head. */
struct KeyRows {
  int64_t batch, head, first, count;
};

/** The array itself if the elements of its rows lie next to each other, else a copy. */
array with_dense_rows(const array& a);

class AttentionPanels {
 public:
  AttentionPanels(const AttentionShape& shape, Dtype dtype);

  int64_t width() const { return width_; }          // of wide panels
  int64_t narrow_width() const { return narrow_; }  // of narrow ones, the last of a row may be less
  int64_t panels(int64_t queries) const { return (queries + width_ - 1) / width_; }
  /** At least n entries, as many as narrow panels hold. */
  int64_t whole_panels(int64_t n) const { return (n + narrow_ - 1) / narrow_ * narrow_; }
  /** Size of blocks that divide n entries evenly: whole panels, of about `most` entries or less. */
  int64_t even_block(int64_t n, int64_t most) const;
  /** Floats that `n` entries in narrow panels of this depth take. */
  int64_t narrow_size(int64_t n, int64_t depth) const { return n * depth + width_; }

  /** [panel][column][width] of factor * rows. */
  void pack_wide(const array& a, const QueryRows& rows, float factor, float* to) const;
  /** [panel][group of columns][width rows][width columns] of factor * rows; zeros beyond. */
  void pack_lines(const array& a, const QueryRows& rows, float factor, float* to) const;
  /** [group of keys][column][keys]. */
  void pack_keys(const array& a, const KeyRows& keys, float* to) const;
  /** [group of columns][key][columns]. */
  void pack_columns(const array& a, const KeyRows& keys, float* to) const;

  /** out[i][width] (+)= sum over the depth of narrow[i] * wide, for i < n. The narrow panels were
   *  packed with `packed_depth`, of which the first `depth` steps are taken. */
  void multiply(int64_t n, int64_t depth, int64_t packed_depth, const float* narrow,
                const float* wide, float* out, bool accumulate) const;

  /** Rows [first, first + count) of `lines` lines of a panel, transposed: [count][lines]. The
   *  buffer needs room for the whole panel and a vector more. */
  void transpose(const float* panel, int64_t lines, float* to) const;

  /** Applies a mask to the scores of one panel of queries against some keys. `buffer` has the size
   *  of the scores. */
  void apply_mask(const array& mask, const QueryRows& rows, int64_t key, int64_t keys,
                  float* scores, float* buffer) const;

  const AttentionTable& table() const { return table_; }

 private:
  const AttentionShape& shape_;
  const AttentionTable& table_;
  const GemmKernels& widen_;  // packers from the dtype to float
  int64_t width_, narrow_;
};

}  // namespace mlx::core::cpu
