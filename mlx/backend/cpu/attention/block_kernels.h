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
  int64_t padded;  // keys that have scores; those past `keys` weigh nothing
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

/** What the backward pass makes of scores: weights, and from the changes of weights those of
 * scores. Entries of sum, along and the factors are one for each row. */
struct GradientBlock {
  ScoreBlock block;
  float* changes;    // rows like the scores
  const float* sum;  // weights are weight_factor * exp(score - sum)
  const float* weight_factor;
  const float* along;  // changes become change_factor * weight * (change - along)
  const float* change_factor;
  void *weight_pairs, *change_pairs;  // of rows, see BlockKernels::pair_bytes
  int64_t pair_step, pair_steps;      // which block of rows it is, and of how many
  float* raw;                         // changes as floats, in rows like the scores, or null
};

/** Sums over rows of weights or their changes times lines of these rows. Blocks of rows from
 * `first` to `last` of `steps` are taken; `rows` counts all up to the last. */
struct ColumnProduct {
  const float* weights;  // in rows
  const void* pairs;     // the same as pairs
  const void* columns;   // packed
  float* sums;           // [key][column], or [column][key]
  int64_t stride, keys, count, first, last, steps, rows;
};

struct BlockKernels {
  int rows;             // of a block
  int gradient_blocks;  // of rows that the backward pass takes at a time
  int pair_bytes;   // for a block of rows and 32 keys if weights are needed as pairs of rows, or 0
  int key_unit;     // blocks of packed keys have a multiple of so many, of lines too
  int column_unit;  // the same for columns of lines
  int depth_unit;   // the same for the depth of packed rows
  int size;         // bytes of a packed value
  bool tiles;       // the thread needs AmxTiles

  /** The left operand of scores: rows of queries. */
  void (*pack_queries)(void* to, const void* const* rows, int64_t count, int64_t depth);
  /** The right operand of scores: rows of keys. */
  void (*pack_keys)(void* to, const void* const* rows, int64_t count, int64_t depth);
  /** The right operand of products with weights: rows of values. */
  void (*pack_lines)(void* to, const void* const* lines, int64_t count, int64_t columns);

  /** out = queries times keys, for columns in whole units. */
  void (*score)(const BlockProduct& product);
  /** Turns scores of the next keys into weights exp(score - top), where `top` becomes a score of
   * the row that none so far exceeds by much, and adds them to `total`. Sums made with the former
   * top need `factor`; returns whether any differs from 1. The last three have an entry for each
   * row. */
  bool (*advance)(const ScoreBlock& block, float* top, float* total, float* factor);
  /** out += weights times lines, for a depth in whole units. */
  void (*add_lines)(const BlockProduct& product);
  /** Rows of `columns` floats times their factors. */
  void (*rescale)(float* rows, int64_t stride, int64_t count, int64_t columns, const float* factor);

  /** The backward pass: makes weights and changes, and the same for products with columns. */
  void (*change)(const GradientBlock& block);
  /** What add_columns takes of rows. */
  void (*pack_columns)(void* to, const void* const* rows, int64_t count, int64_t columns);
  /** Adds to sums of keys; [key][column] if there are no pairs, else [column][key]. */
  void (*add_columns)(const ColumnProduct& product);

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
