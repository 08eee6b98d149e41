// Binary search and distinct values on the GPU. Distinct values: sort, mark where each begins,
// number the marks by a running sum, and take positions and counts from the marks.
#include "mlx/backend/cuda/search.h"
#include "mlx/backend/cuda/host.h"

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/search_call.h"
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
  kernels::Search call{};
  call.count = count;
  call.length = static_cast<int64_t>(sequence.size());
  call.right = primitive.right();
  call.values = input_address(values, s);
  call.sequence = input_address(sequence, s);
  call.out = static_cast<uint32_t*>(static_cast<void*>(output_address(out)));
  launch(kernel_of(search_call(values.dtype()), s), blocks_for(count, threads), threads, s, call);
}

void find_distinct(const array& in, int64_t size, std::vector<array>& outputs, const Stream& s) {
  auto count = static_cast<int64_t>(in.size());
  Scratch keys(in.size() * in.itemsize(), s), places(in.size() * sizeof(uint32_t), s);
  Scratch starts(static_cast<size_t>(size + 1) * sizeof(uint32_t), s);
  sort_keys(in, keys.get(), static_cast<uint32_t*>(places.get()), s);
  array marks(in.shape(), uint32, nullptr, {});
  allocate_output(marks, s);
  auto words = [](void* address) { return static_cast<uint32_t*>(address); };
  kernels::Distinct call{};
  call.count = count;
  call.size = size;
  call.keys = keys.get();
  call.places = words(places.get());
  call.starts = words(starts.get());
  call.positions = words(output_address(outputs[0]));
  call.inverse = words(output_address(outputs[1]));
  call.counts = static_cast<int32_t*>(static_cast<void*>(output_address(outputs[2])));
  auto start = [&](const KernelCall& kernel, int64_t tasks) {
    call.numbers = words(output_address(marks));
    launch(kernel_of(kernel, s), blocks_for(tasks, threads), threads, s, call);
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

const Register<SearchSorted> search_sorted(host_if_wide<SearchSorted, eval_search>);
const Register<Unique> unique(host_if_wide<Unique, eval_unique>);

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
