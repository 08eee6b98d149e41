// Programs that run behind a product: over each region of the result as soon as it is finished,
// while it is still in a cache.
#pragma once

#include <optional>
#include <vector>

#include "mlx/array.h"
#include "mlx/backend/cpu/gemm/gemm.h"
#include "mlx/backend/cpu/program.h"

namespace mlx::core::cpu {

/** Whether a program can be run this way: one output, which it computes. */
bool can_be_epilogue(const Program& program);

class Epilogue : public RegionWork {
 public:
  /** `others` are the program's inputs without the first, which is the root's result of dtype
   *  `made`; they broadcast to the shape of `out`. Gives `out` its memory. All three are kept by
   *  reference. */
  Epilogue(const Program& program, const std::vector<array>& others, Dtype made, array& out);

  /** Where the root has to write its result: dense rows in order, of the shape of `out`. */
  array& result() { return apart_ ? *apart_ : out_; }

  void run(const void* first, int64_t row_stride, int64_t rows, int64_t cols) const override;

 private:
  array& out_;
  std::optional<array> apart_;  // where the program needs the result after it has written its own
  const char* made_ = nullptr;
  char* target_ = nullptr;
  int64_t made_size_, size_;
  std::optional<ProgramSource> source_;
};

}  // namespace mlx::core::cpu
