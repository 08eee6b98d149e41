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
    : has_mask_(mask != nullptr), rows_(rows.count), least_(shape.keys) {
  if (mask) {
    key_stride_ = broadcast_stride(*mask, 3);
    const void* lines[kBlockRows];
    shape.find_rows(*mask, rows, lines);
    for (int64_t i = 0; i < rows_; i++) mask_rows_[i] = static_cast<const char*>(lines[i]);
  }
  int64_t position = rows.first % shape.length;
  for (int64_t i = 0; i < rows_; i++, position++) {
    if (position == shape.length) position = 0;
    seen_[i] = shape.seen_by(position);
    bool is_blind = seen_[i] == 0 || (mask && !sees_any(mask_rows_[i], key_stride_, seen_[i]));
    is_blind_ |= is_blind;
    end_ = std::max(end_, is_blind ? shape.keys : seen_[i]);
    least_ = std::min(least_, seen_[i]);
  }
}

Seen VisibleKeys::find(int64_t first, int64_t count, uint64_t* words) const {
  if (!has_mask_ && least_ >= first + count) return Seen::all;
  int64_t of_row = (count + 63) / 64;
  uint64_t any = 0, missing = 0;
  for (int64_t i = 0; i < rows_; i++, words += kSeenWords) {
    if (has_mask_) {
      find_bits(mask_rows_[i] + first * key_stride_, key_stride_, count, words);
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
