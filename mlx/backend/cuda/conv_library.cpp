// Convolutions as graphs of cuDNN.
#include "mlx/backend/cuda/conv_library.h"

#include "mlx/backend/cuda/dnn_plans.h"

#if __has_include(<cudnn_graph.h>)

namespace mlx::core::cuda {

namespace {

constexpr size_t most_plans = 512;
constexpr int64_t most_workspace = int64_t{256} << 20;

constexpr int64_t x_id = 1, w_id = 2, y_id = 3;

DnnDescriptor tensor(const LibraryTensor& t, Dtype dtype, int64_t id) {
  auto alignment = static_cast<int64_t>(reinterpret_cast<uint64_t>(t.data) % 16 == 0 ? 16 : 2);
  return DnnDescriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR)
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, dnn_type(dtype))
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, t.shape)
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, t.strides)
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, alignment)
      .finish();
}

DnnDescriptor operation(const LibraryConv& conv, DnnParts& parts) {
  using Name = cudnnBackendAttributeName_t;
  constexpr cudnnBackendDescriptorType_t types[] = {
      CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
      CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
      CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR};
  constexpr Name names[][6] = {
      {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
      {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
      {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
       CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA}};
  const Name(&name)[6] = names[conv.result];
  DnnDescriptor result(types[conv.result]);
  result.set(name[1], kept(parts, tensor(conv.x, conv.dtype, x_id)))
      .set(name[2], kept(parts, tensor(conv.w, conv.dtype, w_id)))
      .set(name[3], kept(parts, tensor(conv.y, conv.dtype, y_id)))
      .set(name[4], CUDNN_TYPE_FLOAT, 1.0f)
      .set(name[5], CUDNN_TYPE_FLOAT, 0.0f);
  DnnDescriptor walk =
      DnnDescriptor(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR)
          .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64,
               static_cast<int64_t>(conv.stride.size()))
          .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
          .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
               CUDNN_CROSS_CORRELATION)
          .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, conv.dilation)
          .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, conv.stride)
          .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, conv.padding)
          .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, conv.padding)
          .finish();
  return result.set(name[0], kept(parts, std::move(walk))).finish();
}

/** Whether an engine adds up in float, in the same order each time. */
bool is_trusted(const DnnDescriptor& choice) {
  return !has_note(choice, {CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION,
                            CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, CUDNN_NUMERICAL_NOTE_FFT,
                            CUDNN_NUMERICAL_NOTE_WINOGRAD});
}

DnnPlan make_plan(const LibraryConv& conv) {
  DnnParts parts;
  const DnnDescriptor& convolution = kept(parts, operation(conv, parts));
  std::vector<cudnnBackendDescriptor_t> operations{convolution.object()};
  return make_dnn_plan(std::move(parts), operations, most_workspace, is_trusted);
}

DnnPlans::Key key_of(const LibraryConv& conv) {
  DnnPlans::Key key = {static_cast<int64_t>(conv.result), static_cast<int64_t>(conv.dtype.val())};
  auto add = [&](const std::vector<int64_t>& values) {
    key.insert(key.end(), values.begin(), values.end());
  };
  for (const auto* t : {&conv.x, &conv.w, &conv.y}) {
    key.push_back(reinterpret_cast<uint64_t>(t->data) % 16 == 0);
    add(t->shape);
    add(t->strides);
  }
  add(conv.stride);
  add(conv.padding);
  add(conv.dilation);
  return key;
}

}  // namespace

bool run_by_library(const LibraryConv& conv, const Stream& s) {
  static auto* plans = new DnnPlans(most_plans);
  DnnArguments arguments;
  arguments.memory(x_id, conv.x.data);
  arguments.memory(w_id, conv.w.data);
  arguments.memory(y_id, conv.y.data);
  return plans->run(
      key_of(conv), [&] { return make_plan(conv); }, arguments, s);
}

}  // namespace mlx::core::cuda

#else

namespace mlx::core::cuda {

bool run_by_library(const LibraryConv&, const Stream&) { return false; }

}  // namespace mlx::core::cuda

#endif
