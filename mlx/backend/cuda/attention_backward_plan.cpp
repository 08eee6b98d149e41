// Choosing the kernels of attention's backward pass: tensor cores for half types, plain float
// arithmetic for float32, with as much shared memory as a block may have.
#include "mlx/backend/cuda/attention_backward_plan.h"

#include <algorithm>

#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

namespace {

constexpr int64_t warps = 4, facts_bytes = 12;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/** Columns that a kernel is compiled for. Parts of columns are multiples of 32. */
int64_t padded_width(int64_t width, int64_t slices) {
  for (int64_t padded : {32, 64, 96, 128, 192}) {
    if (width <= padded && padded % (32 * slices) == 0) return padded;
  }
  return widest_attention;
}

std::string text_of(std::initializer_list<int64_t> numbers) {
  std::string text;
  for (int64_t n : numbers) text += std::to_string(n) + ", ";
  return text;
}

struct Tiles {
  int64_t rows, bytes;
  std::string function;  // up to its last template arguments
};

Tiles half_tiles(Dtype dtype, int64_t d, int64_t e, int64_t slices, int64_t most_shared) {
  int64_t rows = 16 * warps, step = std::max(d, e) > 64 ? 32 : 64, stages = 2;
  auto bytes = [&] {
    return (rows + stages * step) * (d + e + 16) * 2 + stages * step * facts_bytes;
  };
  while (bytes() > most_shared && (stages > 1 || step > 16)) {
    if (stages > 1) {
      stages = 1;
    } else {
      step /= 2;
    }
  }
  return {rows, bytes(),
          "mma_backward<" + std::string(type_name(dtype)) + ", " +
              text_of({d, e, warps, step, stages, slices})};
}

Tiles float_tiles(int64_t d, int64_t e, int64_t slices, int64_t most_shared) {
  int64_t height = std::max(d, e) > 128 ? 2 : 4, step = 32;
  auto rows = [&] { return 4 * warps * height; };
  auto bytes = [&] {
    return ((rows() + step) * (d + e + 8) + rows() * (step + 8)) * 4 + step * facts_bytes;
  };
  while (bytes() > most_shared && (step > 16 || height > 1)) {
    if (step > 16) {
      step /= 2;
    } else {
      height /= 2;
    }
  }
  return {rows(), bytes(), "tile_backward<" + text_of({d, e, height, warps, step, slices})};
}

AttentionPass make_pass(const AttentionShape& shape, const AttentionDevice& device,
                        bool keys_are_rows) {
  int64_t slices = keys_are_rows && std::max(shape.d, shape.e) > 128 ? 2 : 1;
  int64_t d = padded_width(shape.d, slices), e = padded_width(shape.e, slices);
  bool halves = shape.dtype != float32;
  Tiles tiles = halves ? half_tiles(shape.dtype, d, e, slices, device.shared_bytes)
                       : float_tiles(d, e, slices, device.shared_bytes);
  const char* hiding = shape.general ? "hide_general" : shape.causal ? "hide_causal" : "hide_none";
  std::string function = tiles.function + hiding + (keys_are_rows ? ", true>" : ", false>");
  int64_t lists = shape.batches * (keys_are_rows ? shape.key_heads : shape.query_heads);
  int64_t blocks = ceil_div(keys_are_rows ? shape.keys : shape.length, tiles.rows);
  return {{halves ? "attention_backward_mma.h" : "attention_backward_tile.h",
           "AttentionBackwardCall", std::move(function), static_cast<int>(32 * warps), 2},
          static_cast<size_t>(tiles.bytes),
          lists * blocks,
          slices,
          std::min(lists, ceil_div(8 * device.multiprocessors, std::max<int64_t>(blocks, 1)))};
}

KernelCall small_call(const char* name, Dtype dtype) {
  return {"attention_backward.h", "AttentionBackwardCall",
          std::string(name) + "<" + type_name(dtype) + ">"};
}

}  // namespace

AttentionBackwardPlan plan_attention_backward(const AttentionShape& shape,
                                              const AttentionDevice& device) {
  return {make_pass(shape, device, false), make_pass(shape, device, true),
          small_call("attention_row_sums", shape.dtype),
          small_call("attention_sink_gradients", shape.dtype)};
}

}  // namespace mlx::core::cuda
