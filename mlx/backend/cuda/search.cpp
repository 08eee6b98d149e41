// Binary search and distinct values on the GPU. Distinct values: sort, mark where each begins,
// number the marks by a running sum, and take positions and counts from the marks.
#include "mlx/backend/cuda/search.h"

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/parameters.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/scan.h"
#include "mlx/backend/cuda/sort.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/primitives/sort.h"

namespace mlx::core::cuda {

namespace {

constexpr unsigned threads = 256;

void eval_search(SearchSorted& primitive, const std::vector<array>& inputs,
                 std::vector<array>& outputs) {
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  allocate_output(out, s);
  array sequence = contiguous(inputs[0], s), values = contiguous(inputs[1], s);
  auto count = static_cast<int64_t>(out.size());
  Parameters parameters;
  parameters.add(count);
  parameters.add(static_cast<int64_t>(sequence.size()));
  parameters.add(int64_t{primitive.right()});
  parameters.add(input_address(values, s));
  parameters.add(input_address(sequence, s));
  parameters.add(static_cast<const void*>(output_address(out)));
  parameters.launch(kernel_of(search_call(values.dtype()), s), blocks_for(count, threads), threads,
                    s);
}

void find_distinct(const array& in, int64_t size, std::vector<array>& outputs, const Stream& s) {
  auto count = static_cast<int64_t>(in.size());
  Scratch keys(in.size() * in.itemsize(), s), places(in.size() * sizeof(uint32_t), s);
  Scratch starts(static_cast<size_t>(size + 1) * sizeof(uint32_t), s);
  sort_keys(in, keys.get(), static_cast<uint32_t*>(places.get()), s);
  array marks(in.shape(), uint32, nullptr, {});
  allocate_output(marks, s);
  auto start = [&](const KernelCall& call, int64_t tasks) {
    Parameters parameters;
    parameters.add(count);
    parameters.add(size);
    for (const void* address :
         {static_cast<const void*>(keys.get()), static_cast<const void*>(places.get()),
          static_cast<const void*>(output_address(marks)),
          static_cast<const void*>(starts.get())}) {
      parameters.add(address);
    }
    for (auto& out : outputs) {
      parameters.add(static_cast<const void*>(output_address(out)));
    }
    parameters.launch(kernel_of(call, s), blocks_for(tasks, threads), threads, s);
  };
  start(mark_first_call(in.dtype()), count);
  scan_array({ScanOp::Sum, 0, false, true}, marks, marks, s);
  start(number_elements_call(), count);
  start(count_elements_call(), size);
}

void eval_unique(Unique& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  for (auto& out : outputs) {
    allocate_output(out, s);
  }
  if (inputs[0].size() > 0) {
    find_distinct(contiguous(inputs[0], s), primitive.size(), outputs, s);
    return;
  }
  for (auto& out : outputs) {
    if (out.size() > 0) {
      clear(output_address(out), out.nbytes(), s);
    }
  }
}

const Register<SearchSorted> search_sorted(eval_search);
const Register<Unique> unique(eval_unique);

}  // namespace

KernelCall search_call(Dtype dtype) {
  return {"search.h", "Search", std::string("search_sorted<") + type_name(dtype) + ">"};
}
KernelCall mark_first_call(Dtype dtype) {
  return {"search.h", "Distinct", std::string("mark_first<") + type_name(dtype) + ">"};
}
KernelCall number_elements_call() { return {"search.h", "Distinct", "number_elements"}; }
KernelCall count_elements_call() { return {"search.h", "Distinct", "count_elements"}; }

}  // namespace mlx::core::cuda
