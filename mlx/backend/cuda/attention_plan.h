// Which kernel computes an attention and how its work is dealt out. Needs no GPU.
#pragma once

#include <string>

#include "mlx/dtype.h"

namespace mlx::core::cuda {

struct AttentionShape {
  Dtype dtype;
  int64_t batches, query_heads, key_heads;
  int64_t length, keys, d, e;
  bool causal, general;  // general: a mask, or a scale that is not positive

  bool operator==(const AttentionShape&) const = default;
};

/** The most columns of queries and values that there are kernels for. */
constexpr int64_t widest_attention = 256;
constexpr int merge_threads = 128;
/** The most blocks of rows, of attentions whose blocks merge their parts themselves. */
constexpr int64_t most_merging_blocks = 1 << 12;

struct AttentionPlan {
  std::string header, function, merge;  // merge: brings the parts of split keys together
  int rows, threads, least_blocks;      // rows of a block; blocks that shall share a multiprocessor
  size_t shared_bytes;
  bool merges;  // the last block of some rows brings their parts together
  bool packed;  // the query heads that share keys are one list of rows
  int64_t splits, split_keys;
  int64_t blocks, section, fold;

  std::string source() const;
  std::string merge_source() const;
};

struct AttentionDevice {
  int multiprocessors;
  bool warp_groups;      // has the products of compute capability 9.0
  int64_t shared_bytes;  // that a block may have
};

AttentionPlan plan_attention(const AttentionShape& shape, const AttentionDevice& device);

}  // namespace mlx::core::cuda
