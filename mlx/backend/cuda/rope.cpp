// Rotary position encoding on the GPU: one launch, in place where nobody else holds the input.
#include "mlx/backend/cuda/rope.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/rope_call.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/core/errors.h"
#include "mlx/core/layout.h"
#include "mlx/primitives/rope.h"

namespace mlx::core::cuda {

namespace {

using kernels::RopeAxes;
using kernels::RopeCall;
using kernels::RopeCalls;

constexpr int threads = 256;
constexpr int64_t most_lists = 8;           // that a thread turns
constexpr int64_t least_threads = 1 << 17;  // below this, each turns fewer lists

/** How x, the result and the offset walk over the axes of x. */
struct RopeStrides {
  const Strides &in, &out, offset;
};

/** The leading axes from `begin` up to `end`, merged where all walk on; false where they are too
 *  many. */
bool set_axes(RopeAxes& axes, const Shape& shape, const RopeStrides& strides, size_t begin,
              size_t end) {
  axes.rank = 0;
  auto append = [&axes](int64_t extent) {
    axes.extents[axes.rank] = extent;
    return axes.rank++;
  };
  for (size_t i = begin; i < end; i++) {
    int64_t extent = shape[i], last = axes.rank - 1;
    if (extent == 1) continue;
    bool merges = last >= 0 && axes.in[last] == strides.in[i] * extent &&
                  axes.out[last] == strides.out[i] * extent &&
                  axes.offset[last] == strides.offset[i] * extent;
    if (merges) {
      axes.extents[last] *= extent;
    } else if (axes.rank == kernels::rope_rank) {
      return false;
    } else {
      last = append(extent);
    }
    axes.in[last] = strides.in[i];
    axes.out[last] = strides.out[i];
    axes.offset[last] = strides.offset[i];
  }
  if (axes.rank == 0) append(1);
  return true;
}

/** The offset as if it had all axes of x: 0 along those that it does not vary along. */
Strides offset_strides(const array& offset, size_t ndim) {
  Strides strides(ndim, 0);
  for (size_t i = 0; i < offset.ndim(); i++) {
    strides[i] = offset.shape()[i] == 1 ? 0 : offset.strides()[i];
  }
  return strides;
}

/** One value for each group of rows, row contiguous. */
array spread_offset(const array& offset, const Shape& groups, const Stream& s) {
  array spread(groups, offset.dtype(), nullptr, {});
  share_view(offset, spread, offset_strides(offset, groups.size()));
  return contiguous(spread, s);
}

bool set_layout(RopeCall& call, const array& x, const array& offset, const array& out,
                const RopeExtents& e) {
  RopeStrides strides{x.strides(), out.strides(), offset_strides(offset, x.ndim())};
  return set_axes(call.group, x.shape(), strides, 0, e.offset_axes) &&
         set_axes(call.list, x.shape(), strides, e.offset_axes, x.ndim() - 2);
}

void set_offset(RopeCall& call, const array& offset, const Stream& s) {
  call.wide_offset = offset.dtype() == int64;
  if (is_host_scalar(offset)) {
    call.start = call.wide_offset ? *offset.data<int64_t>() : *offset.data<int32_t>();
  } else {
    call.offset = input_address(offset, s);
  }
}

/** Whether rows of both can be moved in pieces of 2 * pack elements. */
bool moves_in_packs(const RopeCall& call, int pack, size_t itemsize) {
  int64_t each = 2 * pack;
  auto addresses = reinterpret_cast<uint64_t>(call.x) | reinterpret_cast<uint64_t>(call.out);
  bool fits = call.pairs % pack == 0 && call.width % each == 0 && call.in_stride % each == 0 &&
              call.out_stride % each == 0 && addresses % (each * itemsize) == 0;
  for (const RopeAxes* axes : {&call.group, &call.list}) {
    for (int i = 0; i < axes->rank; i++) {
      fits = fits && axes->in[i] % each == 0 && axes->out[i] % each == 0;
    }
  }
  return fits;
}

/** A rotation that is ready to start, with what it reads. */
struct Prepared {
  RopeCall call{};
  Dtype dtype;
  bool neighbours;
  int pack;
  std::vector<array> kept;

  bool has_kernel_of(const Prepared& other) const {
    return dtype == other.dtype && neighbours == other.neighbours && pack == other.pack;
  }
  int64_t blocks() const { return blocks_for(call.total, threads); }
};

void deal_out(RopeCall& call, const RopeSpec& spec, const RopeExtents& e, int pack) {
  bool in_place = call.x == call.out;
  call.packs = ((in_place ? spec.dims : e.width) + 2 * pack - 1) / (2 * pack);
  int64_t all = e.groups * e.length * call.packs * e.shared;
  call.each = std::clamp<int64_t>(all / least_threads, 1, std::min(most_lists, e.shared));
  call.chunks = (e.shared + call.each - 1) / call.each;
  call.total = e.groups * e.length * call.packs * call.chunks;
}

void start(std::span<const Prepared> all, const Stream& s) {
  const Prepared& first = all[0];
  RopeCalls calls{};
  int64_t blocks = 0;
  for (const Prepared& each : all) {
    calls.first_block[calls.parts] = blocks;
    calls.part[calls.parts++] = each.call;
    blocks += each.blocks();
  }
  static auto* kernels = new KernelTable;
  Kernel kernel =
      kernels->find({static_cast<int64_t>(first.dtype.val()), first.neighbours, first.pack}, s,
                    [&] { return rope_call(first.dtype, first.neighbours, first.pack); });
  launch(kernel, blocks_for(blocks, 1), threads, s, calls);
}

/** Gives the result its memory; nothing if it is empty. */
std::optional<Prepared> prepare(const Rope& primitive, std::span<const array> inputs, array& out) {
  const RopeSpec& spec = primitive.spec();
  const Stream s = primitive.stream();
  bool in_rows = inputs[0].strides(-1) == 1;
  bool few_axes = inputs[0].flags().row_contiguous || out.ndim() <= 2 + kernels::rope_rank;
  if (!in_rows || !few_axes || !write_over(inputs[0], out, s)) {
    allocate_output(out, s);
  }
  if (out.size() == 0) {
    return {};
  }
  array x = in_rows ? inputs[0] : contiguous(inputs[0], s);
  array offset = inputs[1];
  RopeExtents e(x, offset);
  Prepared made{.dtype = out.dtype(), .neighbours = spec.traditional, .pack = 1, .kept = {}};
  RopeCall& call = made.call;
  if (!set_layout(call, x, offset, out, e)) {
    x = contiguous(x, s);
    Shape groups(x.shape().begin(), x.shape().begin() + e.offset_axes);
    offset = spread_offset(offset, groups, s);
    internal_check(set_layout(call, x, offset, out, e), "rope has too many axes");
  }
  array freqs = spec.has_freqs ? contiguous(inputs[2], s) : x;
  set_offset(call, offset, s);
  call.x = input_address(x, s);
  call.out = output_address(out);
  call.freqs = spec.has_freqs ? input_address(freqs, s) : nullptr;
  call.step = spec.has_freqs ? 0.0 : rope_step(spec);
  call.ratio = std::exp2(call.step);
  call.scale = spec.inverse ? -spec.scale : spec.scale;
  call.pairs = spec.dims / 2;
  call.length = e.length;
  call.width = e.width;
  call.shared = e.shared;
  call.in_stride = x.strides(-2);
  call.out_stride = out.strides(-2);
  int pack = rope_pack(out.dtype());
  if (moves_in_packs(call, pack, out.itemsize())) made.pack = pack;
  deal_out(call, spec, e, made.pack);
  made.kept = {std::move(x), std::move(offset), std::move(freqs)};
  return made;
}

void eval_rope(Rope& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  if (auto made = prepare(primitive, inputs, outputs[0])) start({&*made, 1}, primitive.stream());
}

const Register<Rope> rope(eval_rope);

}  // namespace

void run_joined_ropes(const std::vector<JoinedPart>& parts, const Stream& s) {
  std::vector<Prepared> waiting;
  auto start_waiting = [&] {
    if (!waiting.empty()) start(waiting, s);
    waiting.clear();
  };
  for (auto& part : parts) {
    auto made = prepare(static_cast<const Rope&>(part.primitive), part.inputs, part.outputs[0]);
    if (!made) continue;
    if (waiting.size() == kernels::most_rope_parts ||
        (!waiting.empty() && !made->has_kernel_of(waiting[0]))) {
      start_waiting();
    }
    waiting.push_back(std::move(*made));
  }
  start_waiting();
}

int rope_pack(Dtype dtype) { return dtype.size() == 8 ? 1 : 8 / static_cast<int>(dtype.size()); }

KernelCall rope_call(Dtype dtype, bool neighbours, int pack) {
  return {"rope.h",
          "RopeCalls",
          std::string("rope<") + type_name(dtype) + (neighbours ? ", true, " : ", false, ") +
              std::to_string(pack) + ">",
          threads,
          1,
          {},
          /*awaits_earlier=*/true};
}

}  // namespace mlx::core::cuda
