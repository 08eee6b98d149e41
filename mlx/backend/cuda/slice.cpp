// Slice updates on the GPU, and slices whose start is known only when they run.
#include "mlx/backend/cuda/slice.h"

#include <span>

#include "mlx/backend/common/slice.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/index.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/runtime/reports.h"
#include "mlx/backend/cuda/runtime/streams.h"
#include "mlx/primitives/slice.h"

namespace mlx::core::cuda {

namespace {

/** The copy of an update to a place of an array that has its memory. */
StridedJob job_of(const array& update, array& out, int64_t offset, Strides strides,
                  const Stream& s) {
  return {input_address(update, s),
          update.strides(),
          static_cast<char*>(output_address(out)) + offset * static_cast<int64_t>(out.itemsize()),
          std::move(strides),
          update.shape(),
          out.itemsize()};
}

StridedJob job_of(const SliceUpdate& primitive, const array& update, array& out, const Stream& s) {
  auto [offset, strides] = primitive.spec().locate(out);
  return job_of(update, out, offset, std::move(strides), s);
}

void run_slice_update(const SliceUpdate& primitive, std::span<const array> inputs, array& out) {
  const array& update = inputs[1];
  const Stream s = primitive.stream();
  take_over(inputs[0], out, s);
  if (update.size() == 0) {
    return;
  }
  StridedJob job = job_of(primitive, update, out, s);
  combine_strided(primitive.mode(), out.dtype(), job.in, job.in_strides, job.out, job.out_strides,
                  job.shape, s);
}

void eval_slice_update(SliceUpdate& primitive, const std::vector<array>& inputs,
                       std::vector<array>& outputs) {
  run_slice_update(primitive, inputs, outputs[0]);
}

/** The host reads the start, so it has to be there. */
void wait_for_start(const array& start, const Stream& s) {
  if (start.buffer().device_memory()) {
    synchronize_stream(s);
  }
}

void eval_dynamic_slice(DynamicSlice& primitive, const std::vector<array>& inputs,
                        std::vector<array>& outputs) {
  wait_for_start(inputs[1], primitive.stream());
  primitive.eval_cpu(inputs, outputs);  // a view from there on
}

/** Where an update begins whose start the host need not know: a kernel reads it. */
DeviceStart device_start(const array& start, const std::vector<int>& axes, const array& update,
                         array& out, const Stream& s) {
  DeviceStart place{
      input_address(start, s), index_kind(start.dtype()), start.strides()[0], {}, {}, {}, nullptr};
  Strides cause{static_cast<int64_t>(start.id())};
  for (int axis : axes) {
    int64_t room = out.shape()[axis] - update.shape()[axis];
    place.axes.push_back(axis);
    place.rooms.push_back(room);
    place.strides.push_back(out.strides()[axis]);
    cause.push_back(axis);
    cause.push_back(room);
  }
  place.fault = open_report(out, cause, s);
  return place;
}

bool starts_on_device(const DynamicSliceUpdate& primitive, std::span<const array> inputs) {
  return inputs[2].buffer().device_memory() && inputs[1].size() > 0 && !primitive.axes().empty();
}

void run_dynamic_slice_update(const DynamicSliceUpdate& primitive, std::span<const array> inputs,
                              array& out) {
  const array& update = inputs[1];
  const Stream s = primitive.stream();
  if (starts_on_device(primitive, inputs)) {
    take_over(inputs[0], out, s);
    DeviceStart place = device_start(inputs[2], primitive.axes(), update, out, s);
    copy_to_start(job_of(update, out, 0, out.strides(), s), std::move(place), s);
    return;
  }
  wait_for_start(inputs[2], s);
  start_of_slice("slice_update", inputs[0], inputs[2], primitive.axes(), update.shape());
  take_over(inputs[0], out, s);
  if (update.size() == 0) {
    return;
  }
  int64_t offset = start_of_slice("slice_update", out, inputs[2], primitive.axes(), update.shape());
  StridedJob job = job_of(update, out, offset, out.strides(), s);
  copy_strided(job.in, job.in_strides, job.out, job.out_strides, job.shape, job.itemsize, s);
}

void eval_dynamic_slice_update(DynamicSliceUpdate& primitive, const std::vector<array>& inputs,
                               std::vector<array>& outputs) {
  run_dynamic_slice_update(primitive, inputs, outputs[0]);
}

/** Two updates that replace what is there. */
bool run_pair(const JoinedPart& a, const JoinedPart& b, const Stream& s) {
  auto* first = dynamic_cast<SliceUpdate*>(&a.primitive);
  auto* second = dynamic_cast<SliceUpdate*>(&b.primitive);
  if (!first || !second || first->mode() != UpdateMode::Replace ||
      second->mode() != UpdateMode::Replace || a.inputs[1].size() == 0 || b.inputs[1].size() == 0) {
    return false;
  }
  take_over(a.inputs[0], a.outputs[0], s);
  take_over(b.inputs[0], b.outputs[0], s);
  copy_pair(job_of(*first, a.inputs[1], a.outputs[0], s),
            job_of(*second, b.inputs[1], b.outputs[0], s), s);
  return true;
}

/** Two updates that begin where the device says. */
bool run_placed_pair(const JoinedPart& a, const JoinedPart& b, const Stream& s) {
  const JoinedPart* both[] = {&a, &b};
  for (auto* part : both) {
    auto* update = dynamic_cast<DynamicSliceUpdate*>(&part->primitive);
    if (!update || !starts_on_device(*update, part->inputs)) return false;
  }
  std::vector<DeviceStart> starts;
  std::vector<StridedJob> jobs;
  for (auto* part : both) {
    auto& axes = static_cast<DynamicSliceUpdate&>(part->primitive).axes();
    array& out = part->outputs[0];
    take_over(part->inputs[0], out, s);
    starts.push_back(device_start(part->inputs[2], axes, part->inputs[1], out, s));
    jobs.push_back(job_of(part->inputs[1], out, 0, out.strides(), s));
  }
  copy_pair_to_start(jobs[0], std::move(starts[0]), jobs[1], std::move(starts[1]), s);
  return true;
}

const Register<SliceUpdate> slice_update(eval_slice_update);
const Register<DynamicSlice> dynamic_slice(eval_dynamic_slice);
const Register<DynamicSliceUpdate> dynamic_slice_update(eval_dynamic_slice_update);

}  // namespace

void run_joined_updates(const std::vector<JoinedPart>& parts, const Stream& s) {
  if (parts.size() == 2 &&
      (run_pair(parts[0], parts[1], s) || run_placed_pair(parts[0], parts[1], s))) {
    return;
  }
  run_apart(parts, [](const JoinedPart& part) {
    if (auto* update = dynamic_cast<SliceUpdate*>(&part.primitive)) {
      run_slice_update(*update, part.inputs, part.outputs[0]);
    } else {
      run_dynamic_slice_update(static_cast<DynamicSliceUpdate&>(part.primitive), part.inputs,
                               part.outputs[0]);
    }
  });
}

}  // namespace mlx::core::cuda
