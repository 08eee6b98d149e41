// What attention by blocks shares forward and backward: masks of scores, and how much room
// packed blocks need.
#pragma once

#include <algorithm>
#include <limits>

#include "mlx/backend/cpu/attention/block_kernels.h"
#include "mlx/backend/cpu/attention/visible.h"
#include "mlx/backend/cpu/gemm/scratch.h"

namespace mlx::core::cpu {

inline constexpr float lowest_float = std::numeric_limits<float>::lowest();

/** The sink of a head. */
float read_sink(const array& sinks, int64_t head);

inline int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

/** Size of blocks that divide n entries evenly: a multiple of `unit`, at most `most`. */
inline int64_t even_block(int64_t n, int64_t most, int64_t unit) {
  int64_t blocks = std::max<int64_t>(1, (n + most - 1) / most);
  return round_up(std::max<int64_t>(1, (n + blocks - 1) / blocks), unit);
}

/** Bytes of n packed rows of queries or keys, and of n packed lines. */
int64_t packed_rows(const BlockKernels& kernels, int64_t n, int64_t depth);
int64_t packed_lines(const BlockKernels& kernels, int64_t n, int64_t columns);

/** What is hidden of scores, and what is added to them. */
class ScoreMasks {
 public:
  /** The mask may be null. */
  ScoreMasks(const AttentionShape& shape, const array* mask);

  bool added() const { return added_ != nullptr; }
  VisibleKeys visible(const QueryRows& rows) const { return {shape_, hiding_, rows}; }
  /** Values that are added to scores, in rows kScoreStride apart; returns `to`. */
  const float* load(const QueryRows& rows, int64_t key, int64_t keys, float* to) const;

 private:
  const AttentionShape& shape_;
  const array *hiding_, *added_;
};

/** Memory of a task: all buffers that `each_buffer` tells to its second argument, as a reference to
 *  the pointer and a number of bytes. */
template <typename Buffers>
class BlockMemory {
 public:
  template <typename EachBuffer>
  explicit BlockMemory(EachBuffer each_buffer) : memory_(size_of(each_buffer)) {
    char* at = memory_.as<char>();
    each_buffer(buffers_, [&]<typename T>(T*& each, int64_t bytes) {
      each = reinterpret_cast<T*>(at);
      at += round_up(bytes, 64);
    });
  }

  const Buffers& buffers() const { return buffers_; }

 private:
  template <typename EachBuffer>
  size_t size_of(EachBuffer each_buffer) {
    int64_t total = 0;
    each_buffer(buffers_, [&](auto*&, int64_t bytes) { total += round_up(bytes, 64); });
    return static_cast<size_t>(total);
  }

  Buffers buffers_ = {};
  Scratch memory_;
};

}  // namespace mlx::core::cpu
