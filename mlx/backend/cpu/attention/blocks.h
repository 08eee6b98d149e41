// Which keys the queries of a panel see: blocks that nobody sees are left out.
#pragma once

#include <algorithm>
#include <limits>

#include "mlx/backend/cpu/attention/panels.h"

namespace mlx::core::cpu {

inline constexpr float lowest_float = std::numeric_limits<float>::lowest();

/** The sink of a head. */
float read_sink(const array& sinks, int64_t head);

/** What the queries of one panel see of the keys, in the order of positions. */
class PanelView {
 public:
  static constexpr int most_width = 64;

  /** Of at most a panel's rows. */
  PanelView(const AttentionShape& shape, const QueryRows& rows, int64_t width) {
    for (int64_t i = 0; i < width; i++) {
      int64_t seen = shape.seen_by(rows.first + std::min(i, rows.count - 1));
      seen_[i] = static_cast<int32_t>(seen);
      end_ = std::max(end_, seen == 0 ? shape.keys : seen);
      all_ = std::min(all_, seen);
    }
  }

  /** Keys that have to be gone through: all of them if a row sees none. */
  int64_t end() const { return end_; }

  /** Hides what is not seen of some keys. */
  void hide(const AttentionTable& table, int64_t first, int64_t keys, float* scores) const {
    if (first + keys > all_) table.hide_after(scores, first, keys, seen_);
  }

 private:
  int32_t seen_[most_width];
  int64_t end_ = 0, all_ = std::numeric_limits<int64_t>::max();
};

}  // namespace mlx::core::cpu
