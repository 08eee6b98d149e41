// Which products have few rows, and how much of the matrix a warp takes.
#include "mlx/backend/cuda/vector_product.h"

#include <cstdint>

#include "mlx/backend/cuda/kernels/vector_product_call.h"
#include "mlx/backend/cuda/runtime/device.h"
#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

namespace {

using kernels::VectorProductCall;

constexpr int threads = 256, piece = 16;
/** From so many rows of the matrix on, warps with two each still fill the device. */
constexpr int64_t many_rows = 4096;

/** Blocks of a multiprocessor: what they hold of one row leaves registers for more. */
int resident_blocks(int64_t m) { return m == 1 ? 3 : 2; }

bool in_pieces(const void* address, int64_t elements, Dtype dtype) {
  return reinterpret_cast<uintptr_t>(address) % piece == 0 &&
         elements * static_cast<int64_t>(dtype.size()) % piece == 0;
}

bool is_vector_product(const Product& p) {
  bool floats = p.dtype == float16 || p.dtype == bfloat16 || p.dtype == float32;
  bool one_row = p.m == 1 || (!p.a.transposed && in_pieces(p.a.data, p.a.stride, p.dtype));
  return floats && p.batch == 1 && p.m <= most_vector_rows && one_row && p.beta == 0 &&
         p.b.transposed && p.k > 0 && in_pieces(p.a.data, p.k, p.dtype) &&
         in_pieces(p.b.data, p.b.stride, p.dtype);
}

bool reads_same_rows(const Product& p, const Product& q) {
  return p.dtype == q.dtype && p.m == q.m && p.k == q.k && p.a.data == q.a.data &&
         p.a.stride == q.a.stride && p.alpha == q.alpha && p.rectified == q.rectified;
}

}  // namespace

bool run_vector_products(std::span<const Product> products, const Stream& s) {
  const Product& p = products[0];
  if (products.size() > kernels::most_vector_parts) {
    return false;
  }
  int64_t all = 0;
  for (const Product& q : products) {
    if (!is_vector_product(q) || !reads_same_rows(p, q)) return false;
    all += q.n;
  }
  int rows = all >= many_rows ? 2 : 1;
  VectorProductCall call{p.a.data, p.k,         p.a.stride, static_cast<int32_t>(products.size()),
                         p.alpha,  p.rectified, 0,          {}};
  call.resident = int64_t{resident_blocks(p.m)} * device_facts(s.device.index).multiprocessors;
  int64_t blocks = 0;
  for (size_t i = 0; i < products.size(); i++) {
    const Product& q = products[i];
    call.part[i] = {q.b.data, q.bias, q.out, q.n, q.b.stride, blocks};
    blocks += blocks_for(q.n, int64_t{threads} / 32 * rows);
  }
  static auto* kernels = new KernelTable;
  Kernel kernel = kernels->find({static_cast<int64_t>(p.dtype.val()), p.m, rows}, s, [&] {
    return vector_product_call(p.dtype, static_cast<int>(p.m), rows);
  });
  launch(kernel, blocks_for(blocks, 1), threads, s, call);
  return true;
}

KernelCall vector_product_call(Dtype dtype, int m, int rows) {
  return {"vector_product.h",
          "VectorProductCall",
          std::string("vector_product<") + type_name(dtype) + ", " + std::to_string(m) + ", " +
              std::to_string(rows) + ">",
          threads,
          resident_blocks(m),
          std::string("fetch_matrix<") + type_name(dtype) + ", " + std::to_string(rows) + ">"};
}

}  // namespace mlx::core::cuda
