// Layouts, batches and failures of the decompositions on the CPU.
#include "mlx/backend/cpu/linalg.h"

#include <algorithm>
#include <climits>
#include <vector>

#include "mlx/backend/cpu/copy.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"
#include "mlx/utils.h"

namespace mlx::core::cpu {

namespace {

void run_blocks(const FunctionRef<void()>* first, int64_t n, FunctionRef<void(int, int)> f) {
  constexpr int64_t widest = 128, narrowest = 16;
  int64_t width = std::clamp((n + num_threads() - 1) / num_threads(), narrowest, widest);
  int64_t blocks = (n + width - 1) / width, ahead = first ? 1 : 0;
  parallel_for(blocks + ahead, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      if (i < ahead) {
        (*first)();
        continue;
      }
      int64_t from = (i - ahead) * width;
      f(static_cast<int>(from), static_cast<int>(std::min(n, from + width)));
    }
  });
}

}  // namespace

void allocate_columns(array& out) {
  Strides strides = column_major_strides(out.shape());
  auto flags = layout_flags(out.shape(), strides, out.size());
  out.set_data(allocator::malloc(out.nbytes()), out.size(), strides, flags);
}

array columns_copy(const array& a) {
  array out(a.shape(), a.dtype(), nullptr, {});
  allocate_columns(out);
  if (a.size() > 0) {
    copy(a, out);
  }
  return out;
}

array rows_copy(const array& a) {
  array out(a.shape(), a.dtype(), nullptr, {});
  out.set_data(allocator::malloc(out.nbytes()));
  if (a.size() > 0) {
    copy(a, out);
  }
  return out;
}

void take_buffer(const array& from, array& out, const Strides& strides) {
  out.copy_shared_buffer(from, strides, layout_flags(out.shape(), strides, out.size()), out.size());
}

void for_matrices(const char* op, int64_t count, double work, bool threaded_inside,
                  FunctionRef<int(int64_t)> f, std::string (*explain)(int info)) {
  constexpr double worth_a_range = 2e4, worth_threads = 1e7;
  std::vector<int> infos(count, 0);
  auto run = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      infos[i] = f(i);
    }
  };
  if (threaded_inside && work > worth_threads && count < 2 * int64_t{num_threads()}) {
    run(0, count);
  } else {
    parallel_for(count, static_cast<int64_t>(worth_a_range / (work + 100.0)) + 1, run);
  }
  for (int64_t i = 0; i < count; i++) {
    if (infos[i] != 0) {
      throw std::runtime_error(matrix_failure(op, i, count, explain(infos[i])));
    }
  }
}

void for_blocks(int64_t n, FunctionRef<void(int begin, int end)> f) { run_blocks(nullptr, n, f); }

void for_blocks_after(FunctionRef<void()> first, int64_t n, FunctionRef<void(int, int)> f) {
  run_blocks(&first, n, f);
}

int workspace_size(const char* op, double wanted) {
  if (wanted >= INT_MAX) {
    throw std::runtime_error(
        error_message(op, "The matrix is too large for LAPACK, whose workspace would have ", wanted,
                      " elements."));
  }
  return std::max(static_cast<int>(wanted), 1);
}

}  // namespace mlx::core::cpu
