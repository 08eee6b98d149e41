// Kernels of the user's on the GPU: arguments are put together as their text or their code expects
// them, and started like any other kernel.
#include "mlx/primitives/custom_kernel.h"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/jit.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/core/errors.h"
#include "mlx/core/layout.h"

namespace mlx::core::cuda {

namespace {

struct Geometry {
  dim3 grid, block;
};

/** Threadgroups that cover the grid; none is larger than the grid. */
Geometry geometry_of(const KernelStart& start) {
  unsigned blocks[3], threads[3];
  for (int i = 0; i < 3; i++) {
    int size = std::max(1, std::min(start.threadgroup[i], start.grid[i]));
    threads[i] = static_cast<unsigned>(size);
    blocks[i] = static_cast<unsigned>(start.grid[i] / size + (start.grid[i] % size != 0));
  }
  return {{blocks[0], blocks[1], blocks[2]}, {threads[0], threads[1], threads[2]}};
}

void prepare_output(array& out, const KernelStart& start, const Stream& s) {
  if (!start.init_value) {
    allocate_output(out, s);
    return;
  }
  array all(out.shape(), out.dtype(), nullptr, {});
  Strides nowhere(out.ndim(), 0);
  all.copy_shared_buffer(array(*start.init_value, out.dtype()), nowhere,
                         layout_flags(out.shape(), nowhere, 1), 1);
  copy(all, out, s);
}

/** The inputs as the kernel may read them; they have to live until it is queued. */
std::vector<array> prepared_inputs(const std::vector<array>& inputs, const KernelStart& start,
                                   const Stream& s) {
  std::vector<array> ready;
  for (const array& in : inputs) {
    ready.push_back(start.row_contiguous ? contiguous(in, s) : in);
  }
  return ready;
}

/** The struct that the text of a CustomKernel takes. */
class ArgumentBytes {
 public:
  template <typename T>
  void add(const T& value) {
    const auto* begin = reinterpret_cast<const std::byte*>(&value);
    bytes_.insert(bytes_.end(), begin, begin + sizeof(T));
  }

  const void* data() const { return bytes_.data(); }
  size_t size() const { return bytes_.size(); }

 private:
  std::vector<std::byte> bytes_;
};

void add_input(ArgumentBytes& arguments, const array& in, int facts, const Stream& s) {
  arguments.add(input_address(in, s));
  if (asks_for(facts, KernelFact::shape)) {
    for (size_t i = 0; i < kernel_axes; i++) {
      arguments.add(i < in.ndim() ? in.shape()[i] : ShapeElem{1});
    }
  }
  if (asks_for(facts, KernelFact::strides)) {
    for (size_t i = 0; i < kernel_axes; i++) {
      arguments.add(i < in.ndim() ? in.strides()[i] : int64_t{0});
    }
  }
  if (asks_for(facts, KernelFact::ndim)) {
    arguments.add(static_cast<int64_t>(in.ndim()));
  }
}

void eval_custom(CustomKernel& primitive, const std::vector<array>& inputs,
                 std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  const KernelStart& start = primitive.start();
  Kernel kernel = kernel_of(
      primitive.text(), primitive.function().c_str(), s, [&] { return primitive.text(); },
      TextOf::user);
  ArgumentBytes arguments;
  auto ready = prepared_inputs(inputs, start, s);
  for (size_t i = 0; i < ready.size(); i++) {
    add_input(arguments, ready[i], primitive.facts()[i], s);
  }
  for (array& out : outputs) {
    prepare_output(out, start, s);
    arguments.add(output_address(out));
  }
  auto [grid, block] = geometry_of(start);
  auto shared = static_cast<size_t>(start.shared_memory);
  ask_for_shared(kernel, shared);
  launch({kernel, grid, block, arguments.data(), arguments.size(), shared}, s);
}

/** Throws unless the kernel takes arguments of these sizes: one that takes more would read what is
 *  not there. */
void check_parameters(Kernel kernel, const std::vector<size_t>& sizes) {
  size_t offset = 0, size = 0, count = 0;
  while (cudaFuncGetParamInfo(kernel, count, &offset, &size) == cudaSuccess) {
    check(count < sizes.size(), OpScope::current(), "The kernel takes more than the ", sizes.size(),
          " arguments that inputs, outputs and scalars make.");
    check(size == sizes[count], OpScope::current(), "Argument ", count, " of the kernel has ", size,
          " bytes, and ", sizes[count], " are given.");
    count++;
  }
  cudaGetLastError();  // no failure: there is no further argument
  check(count == sizes.size(), OpScope::current(), "The kernel takes ", count,
        " arguments, and inputs, outputs and scalars make ", sizes.size(), ".");
}

void eval_precompiled(PrecompiledKernel& primitive, const std::vector<array>& inputs,
                      std::vector<array>& outputs) {
  const Stream& s = primitive.stream();
  const KernelStart& start = primitive.start();
  Kernel kernel = precompiled_kernel(primitive.code(), primitive.function(), s);
  std::vector<const void*> addresses;
  auto ready = prepared_inputs(inputs, start, s);
  for (const array& in : ready) {
    addresses.push_back(input_address(in, s));
  }
  for (array& out : outputs) {
    prepare_output(out, start, s);
    addresses.push_back(output_address(out));
  }
  std::vector<KernelScalar> scalars = primitive.scalars();
  std::vector<void*> arguments;
  std::vector<size_t> sizes;
  for (auto& address : addresses) {
    arguments.push_back(&address);
    sizes.push_back(sizeof(address));
  }
  for (auto& scalar : scalars) {
    arguments.push_back(&scalar.bits);
    sizes.push_back(static_cast<size_t>(scalar.bytes));
  }
  check_parameters(kernel, sizes);
  auto [grid, block] = geometry_of(start);
  auto shared = static_cast<size_t>(start.shared_memory);
  ask_for_shared(kernel, shared);
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) {
    return;
  }
  enqueue(s, [&, grid = grid, block = block](cudaStream_t stream) {
    check_cuda(
        [&] { return cudaLaunchKernel(kernel, grid, block, arguments.data(), shared, stream); },
        "starting a kernel");
  });
}

const Register<CustomKernel> custom_kernel(eval_custom);
const Register<PrecompiledKernel> precompiled(eval_precompiled);

}  // namespace

}  // namespace mlx::core::cuda
