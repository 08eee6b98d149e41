// The kernels of one way to multiply a block of queries with a block of keys and values: vectors of
// floats, dot products of pairs of bf16, or tiles of bf16. Scores lie in rows, one for each query,
// and become weights where they are: floats, or bf16 at the start of the row.
#pragma once

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"
#include "mlx/dtype.h"

namespace mlx::core::cpu {

constexpr int64_t kBlockRows = 32;   // at most, as all of the kernels
constexpr int64_t kBlockKeys = 256;  // at most
// Floats between rows of scores: an odd number of cache lines, so that rows share no sets.
constexpr int64_t kScoreStride = kBlockKeys + 16;
constexpr int64_t kSeenWords = kBlockKeys / 64;  // of a row

/** Scores of a block before they are scaled and masked. */
struct ScoreBlock {
  float* scores;
  int64_t rows, keys;
  int64_t padded;        // keys that have scores; those past `keys` weigh nothing
  float scale;
  const uint64_t* seen;  // a bit for each key, kSeenWords for each row, or null if all are seen
  const float* added;    // a mask in rows like the scores, or null
};

/** out[i][j] of some rows and columns; rows of out are `stride` floats apart. */
struct BlockProduct {
  const void *left, *right;
  float* out;
  int64_t stride, rows, cols, depth;
  int64_t packed_keys;  // that `right` was packed with, of which `cols` or `depth` are taken
};

struct BlockKernels {
  int rows;          // of a block
  int key_unit;      // blocks of packed keys have a multiple of so many, of lines too
  int column_unit;   // the same for columns of lines
  int depth_unit;    // the same for the depth of packed rows
  int size;          // bytes of a packed value
  bool tiles;        // the thread needs AmxTiles

  /** The left operand of scores: rows of queries. */
  void (*pack_queries)(void* to, const void* const* rows, int64_t count, int64_t depth);
  /** The right operand of scores: rows of keys. */
  void (*pack_keys)(void* to, const void* const* rows, int64_t count, int64_t depth);
  /** The right operand of products with weights: rows of values. */
  void (*pack_lines)(void* to, const void* const* lines, int64_t count, int64_t columns);

  /** out = queries times keys, for columns in whole units. */
  void (*score)(const BlockProduct& product);
  /** Turns scores of the next keys into weights exp(score - top), where `top` becomes the greatest
   *  score of the row so far, and adds them to `total`. Sums made with the former top need
   *  `factor`; returns whether any differs from 1. The last three have an entry for each row. */
  bool (*advance)(const ScoreBlock& block, float* top, float* total, float* factor);
  /** out += weights times lines, for a depth in whole units. */
  void (*add_lines)(const BlockProduct& product);
  /** Rows of `columns` floats times their factors. */
  void (*rescale)(float* rows, int64_t stride, int64_t count, int64_t columns,
                  const float* factor);

  int64_t whole_keys(int64_t n) const { return (n + key_unit - 1) / key_unit * key_unit; }
  int64_t whole_columns(int64_t n) const {
    return (n + column_unit - 1) / column_unit * column_unit;
  }
  int64_t whole_depth(int64_t n) const { return (n + depth_unit - 1) / depth_unit * depth_unit; }
};

struct BlockTables {
  BlockKernels f32, f16, bf16;
};

// Any of the types, widened to float when packed.
MLX_ISA_TABLE(BlockTables, float_block_kernels)
// Operands and weights are bf16, weights rounded to it for the product with the values, which is
// an error of 2^-9 of each; sums are floats. Only to be called when has_avx512_bf16() and when
// has_amx_bf16().
MLX_ISA_TABLE(BlockKernels, bf16_dot_block_kernels)
MLX_ISA_TABLE(BlockKernels, bf16_amx_block_kernels)

/** The fastest on this machine. */
const BlockKernels& block_kernels(Dtype dtype);

}  // namespace mlx::core::cpu
