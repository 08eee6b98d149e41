// The types that GGUF files keep in blocks: a few bytes hold the elements of a block and what they
// are scaled by. Decoding is made of ops, so it is lazy and runs where the weights are wanted.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core::io {

/** A decoded part of a tensor; each row of it holds what one block gave. */
struct BlockPart {
  std::string suffix;  // takes the place of "weight" in the tensor's name if there are several
  array rows;
};

struct BlockFormat {
  uint32_t type;
  const char* name;
  int elements;  // of one block, along the last axis
  int bytes;
  /** From uint8 [blocks, bytes]. */
  std::vector<BlockPart> (*decode)(const array& blocks, StreamOrDevice s);
  const char* table = nullptr;  // that it looks values up in, see gguf_tables.h
};

/** The format of that number in the file, or nullptr. */
const BlockFormat* block_format(uint32_t type);

/** The same for types of less than four bits that are no K-quants. */
const BlockFormat* grid_format(uint32_t type);

}  // namespace mlx::core::io
