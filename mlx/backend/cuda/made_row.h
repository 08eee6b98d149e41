// Rows that kernels make for themselves. A kernel that makes one short row, as a norm does while
// one token is decoded, tells so; if the next work is a product of that row, the kernel is taken
// back, and the blocks of the product each make the row instead of waiting for it. Only what takes
// less time than a kernel pays: the activation of a feed-forward layer does not.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "mlx/array.h"
#include "mlx/backend/cuda/kernel_call.h"
#include "mlx/backend/cuda/parameters.h"

namespace mlx::core::cuda {

/** How a block of `threads` or, if that is 0, of any number of them makes a row. */
struct RowMaker {
  std::array<int64_t, 2> numbers;  // name the text
  /** Defines a type `Row`, of whole words, and `make_row(const Row& p, void* row)`, by which all
   *  threads write the row to memory of the block; the first block also does all that the kernel
   *  does which is taken back. */
  std::function<std::string()> text;
  Parameters arguments;
  unsigned threads;
};

/** Whether a result is a row that blocks may make: then its kernel writes over nothing that it
 *  reads, since other blocks still read it. */
bool is_short_row(const array& made);

/** Says that kernel number `launch` of `s`, which was queued last, makes `made`, a short row, and
 *  reads and writes the others. They all keep their memory until the next primitive has run. */
void offer_row(uint64_t launch, const Stream& s, array made, std::vector<array> others,
               RowMaker maker);

/** Comes before `primitives` primitives that this thread runs. */
void expect_rows(size_t primitives);

/** Around each of them: a row is offered to the next one. */
class RowScope {
 public:
  RowScope() = default;
  RowScope(const RowScope&) = delete;
  RowScope& operator=(const RowScope&) = delete;
  ~RowScope();
};

/** If the kernel that was queued last on `s` makes the row at `address`, for blocks like these:
 * takes it back and starts one that makes the row and goes on with `call`, whose function takes
 *  `arguments` and where its rows come from, and awaits earlier work itself. `numbers` choose among
 *  such calls. Else returns false. */
bool launch_with_row(const void* address, size_t bytes, const std::array<int64_t, 4>& numbers,
                     const std::function<KernelCall()>& call, Parameters arguments, dim3 grid,
                     dim3 block, const Stream& s);

/** Its text; the kernel is called `with_row`. */
std::string source_with_row(const KernelCall& call, const RowMaker& maker);

}  // namespace mlx::core::cuda
