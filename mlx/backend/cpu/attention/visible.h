// Which keys the queries of a block see, by the order and by a bool mask that is read where it
// lies: blocks of keys that none of them sees are left out, and those that all see need no mask.
#pragma once

#include "mlx/backend/cpu/attention/block_kernels.h"
#include "mlx/backend/cpu/attention/shape.h"

namespace mlx::core::cpu {

enum class Seen { nothing, something, all };

class VisibleKeys {
 public:
  /** Of at most kBlockRows rows; the mask is a bool mask or null. */
  VisibleKeys(const AttentionShape& shape, const array* mask, const QueryRows& rows);

  /** Keys that have to be gone through: all of them if a row sees none, since it takes them all
   *  alike. */
  int64_t end() const { return end_; }

  /** Of `count` keys from `first` on, at most kBlockKeys. Sets kSeenWords words for each row if the
   *  answer is `something`; that is also the answer for what a row that sees no key at all sees. */
  Seen find(int64_t first, int64_t count, uint64_t* words) const;

 private:
  bool has_mask_, is_blind_ = false;  // some row
  int64_t rows_, key_stride_ = 0, end_ = 0, least_;
  int64_t seen_[kBlockRows];
  const char* mask_rows_[kBlockRows];
};

}  // namespace mlx::core::cpu
