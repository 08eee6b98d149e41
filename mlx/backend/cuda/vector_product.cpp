// Which products have few rows, and how much of the matrix a warp takes.
#include "mlx/backend/cuda/vector_product.h"

#include <algorithm>
#include <cstdint>

#include "mlx/backend/cuda/kernels/vector_product_call.h"
#include "mlx/backend/cuda/made_row.h"
#include "mlx/backend/cuda/runtime/device.h"
#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

namespace {

using kernels::VectorProductCall;

constexpr int threads = 256, piece = 16;
constexpr int64_t longest_row = int64_t{1} << 30;
/** From so many rows of the matrix on, warps that read several rows of x take two each. */
constexpr int64_t many_rows = 4096;

/** Blocks of a multiprocessor, with room for those of kernels behind and in front. */
constexpr int64_t blocks_each = 3;

/** Blocks that a multiprocessor has registers for. */
int most_blocks(int64_t m) { return m == 1 ? 3 : 2; }

bool in_pieces(const void* address, int64_t elements, Dtype dtype) {
  return reinterpret_cast<uintptr_t>(address) % piece == 0 &&
         elements * static_cast<int64_t>(dtype.size()) % piece == 0;
}

bool is_vector_product(const Product& p) {
  bool floats = p.dtype == float16 || p.dtype == bfloat16 || p.dtype == float32;
  bool one_row = p.m == 1 || (!p.a.transposed && in_pieces(p.a.data, p.a.stride, p.dtype));
  return floats && p.batch == 1 && p.m <= most_vector_rows && one_row && p.beta == 0 &&
         p.b.transposed && p.k > 0 && p.k < longest_row && in_pieces(p.a.data, p.k, p.dtype) &&
         in_pieces(p.b.data, p.b.stride, p.dtype);
}

bool reads_same_rows(const Product& p, const Product& q) {
  return p.dtype == q.dtype && p.m == q.m && p.k == q.k && p.a.data == q.a.data &&
         p.a.stride == q.a.stride && p.alpha == q.alpha && p.rectified == q.rectified;
}

/** Starts the kernel, which makes the row of x as well if that was the work before. */
void start(const VectorProductCall& call, Dtype dtype, int64_t m, int rows, bool may_make_row,
           const Stream& s) {
  auto most = blocks_each * device_facts(s.device.index).multiprocessors;
  unsigned blocks = std::min(blocks_for(call.groups, threads / 32), static_cast<unsigned>(most));
  auto type = static_cast<int64_t>(dtype.val());
  auto text = [&] { return vector_product_call(dtype, static_cast<int>(m), rows); };
  size_t bytes = static_cast<size_t>(call.k) * dtype.size();
  if (may_make_row && launch_with_row(call.x, bytes, {0, type, rows, 0}, text, Parameters(call),
                                      blocks, threads, s)) {
    return;
  }
  static auto* kernels = new KernelTable;
  launch(kernels->find({type, m, rows}, s, text), blocks, threads, s, call);
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
  if (all >= longest_row) {
    return false;
  }
  int rows = p.m > 1 && all >= many_rows ? 2 : 1;
  VectorProductCall call{};
  call.x = p.a.data;
  call.k = p.k;
  call.x_stride = p.a.stride;
  call.parts = static_cast<int32_t>(products.size());
  call.alpha = p.alpha;
  call.rectified = p.rectified;
  call.settled =
      std::all_of(products.begin(), products.end(), [](const Product& q) { return q.b.settled; });
  for (size_t i = 0; i < products.size(); i++) {
    const Product& q = products[i];
    call.part[i] = {q.b.data, q.bias, q.out, q.n, q.b.stride, call.groups};
    call.groups += (q.n + rows - 1) / rows;
  }
  // The kernel that makes a row also stores it and its sum, so none of these may be what it reads.
  bool may_make_row = p.m == 1 && call.settled &&
                      std::all_of(products.begin(), products.end(),
                                  [](const Product& q) { return q.bias_settled; });
  start(call, p.dtype, p.m, rows, may_make_row, s);
  return true;
}

KernelCall vector_product_call(Dtype dtype, int m, int rows) {
  return {"vector_product.h",
          "VectorProductCall",
          std::string("vector_product<") + type_name(dtype) + ", " + std::to_string(m) + ", " +
              std::to_string(rows) + ">",
          threads,
          most_blocks(m),
          {},
          /*awaits_earlier=*/true};
}

}  // namespace mlx::core::cuda
