// Visible keys as bits.
#include "mlx/backend/cpu/attention/visible.h"

#include <algorithm>

#include "mlx/backend/cpu/attention/kernels.h"

namespace mlx::core::cpu {

namespace {

void find_bits(const char* row, int64_t stride, int64_t n, uint64_t* words) {
  if (stride == 1) return attention_table().find_bits(row, n, words);
  std::fill_n(words, (n + 63) / 64, uint64_t{0});
  for (int64_t k = 0; k < n; k++) {
    words[k / 64] |= uint64_t{row[k * stride] != 0} << k % 64;
  }
}

/** Whether one of the first n entries of a row of a mask is true. */
bool sees_any(const char* row, int64_t stride, int64_t n) {
  for (int64_t k = 0; k < n; k += 64) {
    uint64_t bits;
    find_bits(row + k * stride, stride, std::min<int64_t>(64, n - k), &bits);
    if (bits != 0) return true;
    if (stride == 0) return false;
  }
  return false;
}

/** Bits [0, n) of a word. */
uint64_t first_bits(int64_t n) {
  return n <= 0 ? 0 : n >= 64 ? ~uint64_t{0} : (uint64_t{1} << n) - 1;
}

}  // namespace

VisibleKeys::VisibleKeys(const AttentionShape& shape, const array* mask, const QueryRows& rows)
    : shape_(shape), mask_(mask), rows_(rows), least_(shape.keys) {
  for (int64_t i = 0; i < rows.count; i++) {
    seen_[i] = shape.seen_by(rows.first + i);
    bool is_blind = seen_[i] == 0;
    if (mask && !is_blind) {
      const char* row = shape.row_of(*mask, rows.batch, rows.head, rows.first + i);
      is_blind = !sees_any(row, broadcast_stride(*mask, 3), seen_[i]);
    }
    is_blind_ |= is_blind;
    end_ = std::max(end_, is_blind ? shape.keys : seen_[i]);
    least_ = std::min(least_, seen_[i]);
  }
}

Seen VisibleKeys::find(int64_t first, int64_t count, uint64_t* words) const {
  if (!mask_ && least_ >= first + count) return Seen::all;
  int64_t stride = mask_ ? broadcast_stride(*mask_, 3) : 0, of_row = (count + 63) / 64;
  uint64_t any = 0, missing = 0;
  for (int64_t i = 0; i < rows_.count; i++, words += kSeenWords) {
    if (mask_) {
      const char* row = shape_.row_of(*mask_, rows_.batch, rows_.head, rows_.first + i);
      find_bits(row + first * stride, stride, count, words);
    } else {
      std::fill_n(words, of_row, ~uint64_t{0});
    }
    for (int64_t w = 0; w < of_row; w++) {
      words[w] &= first_bits(std::min(seen_[i] - first, count) - w * 64);
      any |= words[w];
      missing |= words[w] ^ first_bits(count - w * 64);
    }
  }
  return any == 0 && !is_blind_ ? Seen::nothing : missing == 0 ? Seen::all : Seen::something;
}

}  // namespace mlx::core::cpu
