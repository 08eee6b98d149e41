// Epilogues write over the result that they read, or from a buffer of their own into the output.
#include "mlx/backend/cpu/epilogue.h"

#include "mlx/backend/cpu/program_plan.h"
#include "mlx/core/denormals.h"
#include "mlx/core/layout.h"

namespace mlx::core::cpu {

bool can_be_epilogue(const Program& program) {
  return program.outputs.size() == 1 && program.outputs[0] >= program.inputs.size();
}

Epilogue::Epilogue(const Program& program, const std::vector<array>& others, Dtype made, array& out)
    : out_(out), made_size_(size_of(made)), size_(static_cast<int64_t>(out.itemsize())) {
  out.set_data(allocator::malloc(out.nbytes()));
  auto plan = plan_of(program);
  bool in_place = made_size_ == size_ && plan->last_read[0] <= plan->made_by[0];
  if (!in_place || out.dtype() != made) {
    apart_.emplace(out.shape(), made, nullptr, std::vector<array>{});
    if (in_place) {
      share_view(out, *apart_, row_contiguous_strides(out.shape()));
    } else {
      apart_->set_data(allocator::malloc(apart_->nbytes()));
    }
  }
  made_ = result().data<char>();
  target_ = out.data<char>();
  source_.emplace(program, others, out.shape(), ProgramSource::first_is_given);
}

void Epilogue::run(const void* first, int64_t row_stride, int64_t rows, int64_t cols) const {
  Denormals all(Denormals::kept);  // as where the program runs alone
  auto from = static_cast<const char*>(first);
  int64_t begin = (from - made_) / made_size_;
  if (cols == row_stride) {
    cols *= rows;
    rows = 1;
  }
  for (int64_t r = 0; r < rows; ++r, begin += row_stride) {
    source_->read(begin, cols, made_ + begin * made_size_, target_ + begin * size_);
  }
}

}  // namespace mlx::core::cpu
