// Few rows are bound by reading the codes; more of them by tensor cores, and very many pay for
// writing the matrix out as numbers and for a library's product.
#include "mlx/backend/cuda/quantized_plan.h"

#include <algorithm>

#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

namespace {

// Few rows are those that meet codes which are read once; a few times as many are read again.
constexpr int64_t most_few_rows = 16, most_repeated_rows = 40;
constexpr int warps = 8, stages = 3, tile_stages = 4;

std::string format_text(const QuantizedFormat& f) {
  constexpr const char* modes[] = {"affine", "mxfp4", "mxfp8", "nvfp4"};
  return std::string("QuantizedFormat<QuantizedMode::") + modes[static_cast<int>(f.mode)] + ", " +
         std::to_string(f.bits) + ", " + std::to_string(f.group_size) + ">";
}

/** As code_pitch of the kernels. */
int64_t code_pitch(int64_t bits, int64_t bytes) {
  return bits == 8 ? bytes + 32 : ((bytes + 15) / 16 | 1) * 16;
}

QuantizedPlan few_rows(const QuantizedShape& shape, int size) {
  int64_t bits = shape.format.bits, bytes = (bits <= 4 ? 256 : 128) * bits / 8;
  int parts = shape.dtype == float32 ? 3 : 1, columns = 16 * size;
  auto shared = static_cast<size_t>(warps * stages * columns * code_pitch(bits, bytes));
  size_t sums = size_t{4} * warps * columns * (8 * size + 1);
  return {QuantizedPlan::direct, QuantizedPlan::rows, size, 8 * size / parts, columns, 32 * warps,
          std::max(shared, sums)};
}

/** As many as shared memory holds. */
int tile_teams(const QuantizedFormat& format, int size) {
  return size == 1 && format.bits <= 4 ? 4 : 2;
}

/** Whether a single row of x meets rows of codes that consist of whole units. */
bool is_one_row(const QuantizedShape& shape) {
  const QuantizedFormat& format = shape.format;
  bool has_kernel = shape.dtype != float32 && (format.bits == 4 || format.bits == 8);
  int chunk = 128 / format.bits;
  return has_kernel && shape.rows == 1 && format.group_size >= chunk && shape.k % (8 * chunk) == 0;
}

/** Blocks of a multiprocessor whose warps take one unit each, or many in turn. */
int row_blocks(int size) { return size == warps ? 3 : 1; }

QuantizedPlan one_row(const QuantizedShape& shape) {
  int64_t units = shape.k * shape.format.bits / 1024;
  int size = units > warps ? 2 * warps : warps;
  return {QuantizedPlan::direct, QuantizedPlan::row, size, 1, 16, 32 * size, 0, row_blocks(size)};
}

QuantizedPlan tiles(const QuantizedShape& shape, int size) {
  int rows = 64 * size, columns = 64, row_bytes = 128, alignment = 1024;
  int stage = rows * row_bytes + columns * 8 * shape.format.bits;
  int teams = tile_teams(shape.format, size), team = 2 * columns * row_bytes + tile_stages * stage;
  return {QuantizedPlan::direct,
          QuantizedPlan::tiles,
          size,
          rows,
          columns,
          128 * size * teams,
          static_cast<size_t>(alignment + teams * team)};
}

/** Rows from which on a library's product with the numbers takes less time than tiles of codes. */
int64_t many_rows(const QuantizedFormat& format) { return format.has_biases() ? 64 : 160; }

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/** Tall tiles decode less, if there are enough of them. */
int tile_size(const QuantizedShape& shape, int64_t rows, const QuantizedDevice& device) {
  int64_t blocks = ceil_div(rows, 128) * ceil_div(shape.n, 64);
  return rows > 64 && blocks * 4 >= device.multiprocessors * 3 ? 2 : 1;
}

}  // namespace

QuantizedPlan plan_quantized(const QuantizedShape& shape, const QuantizedDevice& device) {
  bool has_tiles = shape.dtype != float32 && device.major == 9;
  int64_t all = shape.products * shape.rows;
  bool sorts = shape.picked && shape.rows < most_few_rows && all > 32 &&
               shape.matrices <= most_sorted_matrices;
  int64_t rows = sorts ? ceil_div(all, shape.matrices) : shape.rows;
  int64_t most = shape.picked || shape.dtype == float32 ? most_few_rows : most_repeated_rows;
  if (rows > most && has_tiles && (shape.picked || rows < many_rows(shape.format))) {
    int64_t filled = shape.picked ? all : shape.products * rows;
    QuantizedPlan plan = tiles(shape, rows > 64 ? tile_size(shape, filled, device) : 1);
    if (sorts) plan.way = QuantizedPlan::sorted;
    return plan;
  }
  if (rows > most && !shape.picked) {
    return {.way = QuantizedPlan::dense};
  }
  if (!sorts && is_one_row(shape)) {
    return one_row(shape);
  }
  int small = shape.dtype == float32 ? 2 : 8;
  QuantizedPlan plan = few_rows(shape, rows > small ? 2 : 1);
  if (sorts) plan.way = QuantizedPlan::sorted;
  return plan;
}

KernelCall quantized_call(const QuantizedPlan& plan, const QuantizedFormat& format, Dtype dtype) {
  switch (plan.kind) {
    case QuantizedPlan::row:
      return quantized_row_call(format, dtype, plan.size);
    case QuantizedPlan::rows:
      return quantized_rows_call(format, dtype, plan.size);
    default:
      return quantized_tiles_call(format, dtype, plan.size);
  }
}

KernelCall quantized_row_call(const QuantizedFormat& format, Dtype dtype, int size) {
  std::string sort = std::string(type_name(dtype)) + ", " + format_text(format);
  return {"quantized_row.h",
          "QuantizedRowsCall",
          "quantized_row<" + sort + ", " + std::to_string(size) + ">",
          32 * size,
          row_blocks(size),
          "fetch_in_time<" + sort + ">"};
}

KernelCall quantized_rows_call(const QuantizedFormat& format, Dtype dtype, int size) {
  std::string sizes = std::to_string(size) + ", " + std::to_string(size);
  return {"quantized_rows.h",
          "QuantizedRowsCall",
          std::string("quantized_rows<") + type_name(dtype) + ", " + format_text(format) + ", " +
              sizes + ">",
          32 * warps,
          size == 1 ? 2 : 1,
          std::string("fetch_codes<") + type_name(dtype) + ", " + format_text(format) + ", " +
              std::to_string(size) + ">"};
}

KernelCall quantized_tiles_call(const QuantizedFormat& format, Dtype dtype, int size) {
  int teams = tile_teams(format, size);
  return {"quantized_tiles.h", "QuantizedProducts",
          std::string("quantized_tiles<") + type_name(dtype) + ", " + format_text(format) + ", " +
              std::to_string(size) + ", " + std::to_string(teams) + ">",
          128 * size * teams, size * teams == 2 ? 2 : 1};
}

KernelCall quantized_unpack_call(const QuantizedFormat& format, Dtype result, Dtype scales) {
  return {"quantized_unpack.h", "QuantizedMatrix",
          std::string("quantized_unpack<") + type_name(result) + ", " + type_name(scales) + ", " +
              format_text(format) + ">"};
}

KernelCall quantized_pack_call(const QuantizedFormat& format, Dtype dtype) {
  return {"quantized_pack.h", "QuantizedPacking",
          std::string("quantized_pack<") + type_name(dtype) + ", " + format_text(format) + ">"};
}

KernelCall quantized_sort_call() { return {"quantized_sort.h", "RowSort", "quantized_sort"}; }

}  // namespace mlx::core::cuda
