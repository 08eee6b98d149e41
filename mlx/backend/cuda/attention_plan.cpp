// Choosing the attention kernel. Few queries are bound by memory, so the heads that share keys go
// together and the keys are split; many are tiles of rows, longest first under a causal mask.
#include "mlx/backend/cuda/attention_plan.h"

#include <algorithm>
#include <initializer_list>

#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

namespace {

constexpr int64_t most_splits = 128, panel_alignment = 1024;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/** Columns that a kernel is compiled for. */
int64_t width_class(int64_t width) {
  for (int64_t padded : {32, 64, 96, 128, 192}) {
    if (width <= padded) return padded;
  }
  return widest_attention;
}

std::string list_of(std::initializer_list<int64_t> numbers) {
  std::string text;
  for (int64_t n : numbers) text += std::to_string(n) + ", ";
  return text;
}

/** The last template arguments: how keys are hidden, and whether the keys are split. */
std::string ending(const AttentionShape& shape, const AttentionPlan& plan) {
  const char* hiding = shape.general ? "hide_general" : shape.causal ? "hide_causal" : "hide_none";
  return std::string(hiding) + (plan.splits > 1 ? ", true>" : ", false>");
}

/** Cuts the keys so that about `wanted` blocks run, each with `least` keys or more. */
void split(AttentionPlan& plan, const AttentionShape& shape, int64_t wanted, int64_t least,
           int64_t granule) {
  plan.splits =
      std::clamp<int64_t>(std::min(wanted / plan.blocks, shape.keys / least), 1, most_splits);
  plan.split_keys = ceil_div(ceil_div(shape.keys, plan.splits), granule) * granule;
  plan.splits = ceil_div(shape.keys, plan.split_keys);
}

void deal_out(AttentionPlan& plan, const AttentionShape& shape, int multiprocessors) {
  plan.packed = shape.length < plan.rows;
  int64_t heads = plan.packed ? shape.key_heads : shape.query_heads;
  int64_t tiles = ceil_div(shape.query_heads / heads * shape.length, plan.rows);
  int64_t lists = shape.batches * heads;
  plan.blocks = lists * tiles;
  // As many lists as fill the device a few times, so that those in work share the cache.
  plan.section = std::min(lists, ceil_div(8 * multiprocessors, tiles));
  // Where two blocks share a multiprocessor, a long one goes with a short one.
  bool pairs = shape.causal && plan.least_blocks > 1 && plan.blocks > multiprocessors &&
               plan.blocks <= 2 * multiprocessors;
  plan.fold = pairs ? multiprocessors : plan.blocks;
}

/** What a family of kernels needs to know about one of them. */
struct Choice {
  const char* name;
  int64_t rows, threads, least_blocks, shared_bytes;
  int64_t step;              // keys of a turn
  int64_t least_keys = 256;  // of a part
  int64_t wanted = 2;        // blocks of a multiprocessor, if keys can be split
  std::string arguments;     // of the template, in front of those that all have
};

AttentionPlan make_plan(const Choice& choice, const AttentionShape& shape, int multiprocessors) {
  AttentionPlan plan{};
  plan.header = std::string("attention_") + choice.name + ".h";
  plan.rows = static_cast<int>(choice.rows);
  plan.threads = static_cast<int>(choice.threads);
  plan.least_blocks = static_cast<int>(choice.least_blocks);
  plan.shared_bytes = static_cast<size_t>(choice.shared_bytes);
  deal_out(plan, shape, multiprocessors);
  split(plan, shape, choice.wanted * multiprocessors, choice.least_keys, choice.step);
  plan.function = std::string(choice.name) + "_attention<" + choice.arguments + ending(shape, plan);
  return plan;
}

std::string type_argument(const AttentionShape& shape) {
  return std::string(type_name(shape.dtype)) + ", ";
}

Choice few_rows(const AttentionShape& shape) {
  int64_t d = width_class(shape.d), e = width_class(shape.e);
  int64_t count = shape.query_heads / shape.key_heads * shape.length;
  int64_t rows = count > 2 ? 4 : count;  // with more, lanes exchange too much
  int64_t numbers = rows * std::max(d, e), lanes = 8;
  while (lanes < 32 && numbers > 32 * lanes) lanes *= 2;  // each lane keeps its part of them
  // Enough of memory must be on its way at a time, while others compute.
  int64_t warps = 4, step = 4, blocks = shape.dtype == float32 ? 3 : 4;
  return {.name = "few",
          .rows = rows,
          .threads = 32 * warps,
          .least_blocks = blocks,
          .shared_bytes = 0,
          .step = 1,
          .least_keys = 64,
          .wanted = blocks,
          .arguments = type_argument(shape) + list_of({d, e, rows, lanes, warps, step})};
}

/** The same for half types, whose products are the tensor cores': 8 or 16 rows. Where few blocks
 *  run, each has many warps; and bringing parts together takes longer than going through so few
 *  keys that these need no more than two turns for them. */
Choice few_half_rows(const AttentionShape& shape, int64_t count, int multiprocessors) {
  constexpr int64_t shared_sums = 8192;  // of all warps
  int64_t d = shape.d > 64 ? 128 : 64, e = shape.e > 64 ? 128 : 64;
  int64_t halves = count > 8 ? 2 : 1, most_warps = shared_sums / (8 * halves * e);
  bool few_blocks = shape.batches * shape.key_heads <= multiprocessors;
  bool whole = few_blocks && shape.keys <= 2 * 16 * most_warps;
  bool narrow = d == 64 && e == 64 && halves == 1;  // leaves registers for more warps
  int64_t warps = whole ? most_warps : few_blocks && narrow ? 8 : 4, blocks = whole ? 1 : 2;
  return {.name = "few_mma",
          .rows = 8 * halves,
          .threads = 32 * warps,
          .least_blocks = blocks,
          .shared_bytes = 0,
          .step = 16 * warps,
          .least_keys = whole ? std::max<int64_t>(shape.keys, 1) : 64,
          .wanted = blocks,
          .arguments = type_argument(shape) + list_of({d, e, halves, warps})};
}

/** Products of float32 in plain float arithmetic. */
Choice float_tiles(const AttentionShape& shape, int64_t most_shared) {
  int64_t d = width_class(shape.d), e = width_class(shape.e), wide = std::max(d, e);
  int64_t height = wide > 128 ? 2 : 4, warps = 4, step = wide > 64 ? 32 : 64;
  int64_t rows = 4 * height * warps;
  auto bytes = [&] {
    return ((rows + step) * (d + 4) + step * (e + 4) + rows * (step + 8)) * int64_t{4};
  };
  while (step > 16 && bytes() > most_shared) step /= 2;
  return {.name = "tile",
          .rows = rows,
          .threads = 32 * warps,
          .least_blocks = 2,
          .shared_bytes = bytes(),
          .step = step,
          .arguments = list_of({d, e, height, warps, step})};
}

/** Products of half types. */
Choice half_tiles(const AttentionShape& shape) {
  int64_t d = width_class(shape.d), e = width_class(shape.e);
  int64_t count = shape.query_heads / shape.key_heads * shape.length;
  int64_t tiles = std::max(d, e) <= 128 && count > 64 ? 2 : 1, warps = 4, step = 64;
  int64_t rows = 16 * tiles * warps, bytes = ((rows + step) * (d + 8) + step * (e + 8)) * 2;
  return {.name = "mma",
          .rows = rows,
          .threads = 32 * warps,
          .least_blocks = 2,
          .shared_bytes = bytes,
          .step = step,
          .arguments = type_argument(shape) + list_of({d, e, tiles, warps, step})};
}

int64_t panels_of(int64_t width) { return std::max<int64_t>(ceil_div(width, 64), 1); }

/** Products of half types by four warps together. */
Choice half_panels(const AttentionShape& shape) {
  int64_t d = 64 * panels_of(shape.d), e = 64 * panels_of(shape.e), step = 64;
  return {.name = "wgmma",
          .rows = 64,
          .threads = 128,
          .least_blocks = std::max(d, e) > 64 ? 2 : 3,
          .shared_bytes = 2 * step * (d + e) * 2 + panel_alignment,
          .step = step,
          .arguments = type_argument(shape) + list_of({d, e, step})};
}

/** The same for float32 that is split into half types. */
Choice float_panels(const AttentionShape& shape) {
  int64_t d = 64 * panels_of(shape.d), e = 64 * panels_of(shape.e), step = 64;
  int64_t split_and_whole = 3 * 2 + 4;  // bytes of a number
  return {.name = "split",
          .rows = 64,
          .threads = 128,
          .least_blocks = std::max(d, e) > 64 ? 1 : 2,
          .shared_bytes = step * (d + e) * split_and_whole + panel_alignment,
          .step = step,
          .arguments = list_of({d, e, step})};
}

Choice choose(const AttentionShape& shape, const AttentionDevice& device) {
  int64_t rows = shape.query_heads / shape.key_heads * shape.length;
  int64_t widest = std::max(shape.d, shape.e);
  if (shape.dtype != float32 && rows <= 16 && widest <= 128) {
    return few_half_rows(shape, rows, device.multiprocessors);
  }
  if (rows <= (shape.dtype == float32 ? 8 : 4)) {
    return few_rows(shape);
  }
  if (shape.dtype == float32) {
    return device.warp_groups && widest <= 128 ? float_panels(shape)
                                               : float_tiles(shape, device.shared_bytes);
  }
  return device.warp_groups && rows > 32 && widest <= 192 ? half_panels(shape) : half_tiles(shape);
}

/** Whether the parts of a block's rows are so few that one block brings them together in the time
 *  that a kernel takes to start. It has the memory of its warps' sums for that. */
bool merges_itself(const AttentionPlan& plan, const AttentionShape& shape) {
  constexpr int64_t most_numbers = 1 << 16, warps = 4;
  bool few = plan.header == "attention_few.h" || plan.header == "attention_few_mma.h";
  return few && plan.splits > 1 && plan.blocks <= most_merging_blocks &&
         plan.splits * plan.rows * shape.e <= most_numbers &&
         2 * plan.splits + 1 <= warps * std::max<int64_t>(shape.e, 32);
}

std::string kernel_text(const std::string& header, const std::string& function, int threads,
                        int least_blocks, bool awaits_earlier) {
  return "#include \"mlx/backend/cuda/kernels/" + header +
         "\"\nusing namespace mlx::core::kernels;\nextern \"C\" __global__ void "
         "__launch_bounds__(" +
         std::to_string(threads) + ", " + std::to_string(least_blocks) +
         ") attention(const __grid_constant__ AttentionCall p) { let_next_start(); " +
         (awaits_earlier ? "" : "await_earlier(); ") + function + "(p); }\n";
}

}  // namespace

std::string AttentionPlan::source() const {
  return kernel_text(header, function, threads, least_blocks, header == "attention_few_mma.h");
}
std::string AttentionPlan::merge_source() const {
  return kernel_text("attention.h", merge, merge_threads, 1, false);
}

AttentionPlan plan_attention(const AttentionShape& shape, const AttentionDevice& device) {
  AttentionPlan plan = make_plan(choose(shape, device), shape, device.multiprocessors);
  plan.merges = merges_itself(plan, shape);
  if (plan.splits > 1 && !plan.merges) {
    std::string end = ending(shape, plan);
    plan.merge = "merge_attention<" + type_argument(shape) + end.substr(0, end.find(',')) + ">";
  }
  return plan;
}

}  // namespace mlx::core::cuda
