// Slice updates on the GPU, and slices whose start is known only when they run.
#include "mlx/primitives/slice.h"

#include "mlx/backend/common/slice.h"
#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/index.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/runtime/reports.h"
#include "mlx/backend/cuda/runtime/streams.h"

namespace mlx::core::cuda {

namespace {

void eval_slice_update(SliceUpdate& primitive, const std::vector<array>& inputs,
                       std::vector<array>& outputs) {
  const array& update = inputs[1];
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  take_over(inputs[0], out, s);
  if (update.size() == 0) {
    return;
  }
  auto [offset, strides] = primitive.spec().locate(out);
  char* target =
      static_cast<char*>(output_address(out)) + offset * static_cast<int64_t>(out.itemsize());
  combine_strided(primitive.mode(), out.dtype(), input_address(update, s), update.strides(), target,
                  strides, update.shape(), s);
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

/** The host need not know the start: a kernel reads it. */
void update_at(const array& start, const std::vector<int>& axes, const array& update, array& out,
               const Stream& s) {
  DeviceStart place{
      input_address(start, s), index_kind(start.dtype()), start.strides()[0], {}, {}, {}, nullptr};
  for (int axis : axes) {
    place.axes.push_back(axis);
    place.rooms.push_back(out.shape()[axis] - update.shape()[axis]);
    place.strides.push_back(out.strides()[axis]);
  }
  FaultReport report = open_report(s);
  out.add_doubt(report.doubt);
  place.fault = report.slot;
  copy_to_start(input_address(update, s), update.strides(), output_address(out), out.strides(),
                update.shape(), out.itemsize(), std::move(place), s);
}

void eval_dynamic_slice_update(DynamicSliceUpdate& primitive, const std::vector<array>& inputs,
                               std::vector<array>& outputs) {
  const array& update = inputs[1];
  array& out = outputs[0];
  const Stream& s = primitive.stream();
  if (inputs[2].buffer().device_memory() && update.size() > 0 && !primitive.axes().empty()) {
    take_over(inputs[0], out, s);
    update_at(inputs[2], primitive.axes(), update, out, s);
    return;
  }
  wait_for_start(inputs[2], s);
  start_of_slice("slice_update", inputs[0], inputs[2], primitive.axes(), update.shape());
  take_over(inputs[0], out, s);
  if (update.size() == 0) {
    return;
  }
  int64_t offset = start_of_slice("slice_update", out, inputs[2], primitive.axes(), update.shape());
  char* target =
      static_cast<char*>(output_address(out)) + offset * static_cast<int64_t>(out.itemsize());
  copy_strided(input_address(update, s), update.strides(), target, out.strides(), update.shape(),
               out.itemsize(), s);
}

const Register<SliceUpdate> slice_update(eval_slice_update);
const Register<DynamicSlice> dynamic_slice(eval_dynamic_slice);
const Register<DynamicSliceUpdate> dynamic_slice_update(eval_dynamic_slice_update);

}  // namespace

}  // namespace mlx::core::cuda
