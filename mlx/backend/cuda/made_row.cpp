// Which row was made last, and the text of kernels that make one.
#include "mlx/backend/cuda/made_row.h"

#include <optional>
#include <utility>

#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/runtime/streams.h"

namespace mlx::core::cuda {

namespace {

/** What blocks have without asking for more, beside memory of their own. */
constexpr size_t most_bytes = 40 << 10, piece = 16;

constexpr size_t most_declined = 64;

/** A kernel that can be taken back, with its arrays. */
struct Offer {
  uint64_t launch;
  Stream stream;
  RowMaker maker;
  array made;
  std::vector<array> others;
};

struct Offers {
  std::optional<Offer> last;
  bool is_new = false;
  size_t expected = 0;  // primitives that are still to come
  size_t declined = 0;  // offers since one was taken

  /** Where products take no rows, few are offered. */
  bool are_worthwhile() const { return declined < most_declined || expected % most_declined == 0; }
};

Offers& offers() {
  thread_local Offers all;
  return all;
}

}  // namespace

bool is_short_row(const array& made) {
  bool one_row = made.ndim() > 0 && made.size() == static_cast<size_t>(made.shape(-1));
  Dtype type = made.dtype();
  return one_row && offers().expected > 1 && offers().are_worthwhile() && made.nbytes() > 0 &&
         made.nbytes() <= most_bytes && made.nbytes() % piece == 0 &&
         (type == float16 || type == bfloat16 || type == float32);
}

void offer_row(uint64_t launch, const Stream& s, array made, std::vector<array> others,
               RowMaker maker) {
  if (launch == 0) return;
  auto& all = offers();
  all.last = Offer{launch, s, std::move(maker), std::move(made), std::move(others)};
  all.is_new = true;
}

void expect_rows(size_t primitives) { offers().expected = primitives; }

RowScope::~RowScope() {
  auto& all = offers();
  all.expected -= all.expected > 0;
  if (std::exchange(all.is_new, false)) return;
  all.declined += all.last.has_value();
  all.last = {};
}

bool launch_with_row(const void* address, size_t bytes, const std::array<int64_t, 4>& numbers,
                     const std::function<KernelCall()>& call, Parameters arguments, dim3 grid,
                     dim3 block, const Stream& s) {
  auto& last = offers().last;
  bool fits = last && last->stream == s && output_address(last->made) == address &&
              last->made.nbytes() == bytes &&
              (last->maker.threads == 0 || last->maker.threads == block.x);
  if (!fits) {
    return false;
  }
  static auto* kernels = new KernelTable;
  int64_t a = last->maker.numbers[0], b = last->maker.numbers[1];
  Kernel kernel = kernels->find({a, b, numbers[0], numbers[1], numbers[2], numbers[3]}, s, [&] {
    return NamedText{"row " + std::to_string(a) + " " + std::to_string(b) + call().function,
                     "with_row", [&] { return source_with_row(call(), last->maker); }};
  });
  if (!take_back(s, last->launch)) {
    return false;
  }
  arguments.add_all(last->maker.arguments);
  arguments.launch(kernel, grid, block, s, bytes);
  offers().last = {};
  offers().declined = 0;
  return true;
}

std::string source_with_row(const KernelCall& call, const RowMaker& maker) {
  return maker.text() + "#include \"mlx/backend/cuda/kernels/" + call.header +
         "\"\nstruct Call {\n  " + call.parameters +
         " own;\n  Row row;\n};\nextern \"C\" __global__ void __launch_bounds__(" +
         std::to_string(call.threads) + ", " + std::to_string(call.blocks) +
         ") with_row(const __grid_constant__ Call p) {\n"
         "  extern __shared__ uint4 row[];\n  let_next_start();\n  mlx::core::kernels::" +
         call.function +
         "(p.own, [&](const void*) {\n    make_row(p.row, row);\n    __syncthreads();\n"
         "    return static_cast<const void*>(row);\n  });\n}\n";
}

}  // namespace mlx::core::cuda
