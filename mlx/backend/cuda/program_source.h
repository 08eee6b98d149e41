// The text of the kernel that runs an element-wise program.
#pragma once

#include <string>
#include <vector>

#include "mlx/core/program.h"
#include "mlx/small_vector.h"

namespace mlx::core::cuda {

/** How a kernel walks; together with the program it determines the kernel's text. */
struct ProgramVariant {
  enum Access : char {
    in_order = 'v',    // element i is at position i of memory
    one = 's',         // one element of memory for all
    given = 'c',       // one value for all, which comes along
    strided = 'x',     // by strides
    made = 'r',        // random words of a key in memory
    made_given = 'k',  // random words of a key that comes along
  };

  SmallVector<Access, 16> inputs;
  int width;            // neighbouring elements per thread
  int rank;             // dimensions of the strided inputs; 0 without any
  bool wide;            // 64-bit positions
  bool joined = false;  // runs on several lists of arrays, each in order

  /** Random words come in pairs, half of the array apart: a thread then runs both packs, and all
   *  packs are whole. */
  bool paired() const;
  bool operator==(const ProgramVariant&) const = default;
  static bool is_made(Access access) { return access == made || access == made_given; }
  std::string key() const;
};

/** Lists of arrays that one launch of a joined program takes: its arguments have room for so many.
 */
int64_t most_parts(const Program& program);

/** Threads per block of the kernel, which is called `program`. */
inline constexpr int program_threads = 256;

/**
 * The kernel takes one struct of 64-bit words: the number of elements, for `rank` > 0 that many
 * extents, an address and a value per input, an address per output, and for each strided input
 * `rank` strides. A joined one takes the number of its parts, then for each of `most_parts` the
 * number of its first block, that of its elements, and the addresses and values.
 */
std::string program_source(const Program& program, const ProgramVariant& variant);

}  // namespace mlx::core::cuda
