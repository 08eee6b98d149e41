// Descriptors of tensors and operations.
#include "mlx/backend/cuda/dnn_graph.h"

#if __has_include(<cudnn_graph.h>)

namespace mlx::core::cuda {

namespace {

DnnShape row_contiguous(const DnnShape& shape) {
  DnnShape strides(shape.size(), 1);
  for (size_t i = shape.size() - 1; i > 0; i--) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

}  // namespace

DnnGraph::Value DnnGraph::tensor(int64_t id, cudnnDataType_t type, const DnnShape& shape,
                                 const DnnShape& strides, bool is_virtual, bool by_value) {
  DnnDescriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, shape)
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides)
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, int64_t{16})
      .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, is_virtual)
      .set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, by_value);
  parts_.push_back(tensor.finish());
  return {parts_.size() - 1, shape};
}

DnnGraph::Value DnnGraph::memory(int64_t id, cudnnDataType_t type, const DnnShape& shape,
                                 const DnnShape& strides) {
  return tensor(id, type, shape, strides, false, false);
}

DnnGraph::Value DnnGraph::number(int64_t id, cudnnDataType_t type) {
  return tensor(id, type, {1, 1, 1, 1}, {1, 1, 1, 1}, false, true);
}

DnnGraph::Value DnnGraph::between(const DnnShape& shape, cudnnDataType_t type,
                                  const DnnShape& strides) {
  return tensor(next_++, type, shape, strides.empty() ? row_contiguous(shape) : strides, true,
                false);
}

void DnnGraph::end(DnnDescriptor& operation) {
  parts_.push_back(operation.finish());
  operations_.push_back(parts_.back().object());
}

void DnnGraph::multiply(const Value& a, const Value& b, const Value& c) {
  parts_.push_back(DnnDescriptor(CUDNN_BACKEND_MATMUL_DESCRIPTOR)
                       .set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
                       .finish());
  DnnDescriptor operation(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, at(a))
      .set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, at(b))
      .set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, at(c))
      .set(CUDNN_ATTR_OPERATION_MATMUL_DESC, parts_.back());
  end(operation);
}

void DnnGraph::reshape(const Value& x, const Value& y) {
  DnnDescriptor operation(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, at(x))
      .set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, at(y));
  end(operation);
}

void DnnGraph::reduce(cudnnReduceTensorOp_t how, const Value& x, const Value& y) {
  parts_.push_back(DnnDescriptor(CUDNN_BACKEND_REDUCTION_DESCRIPTOR)
                       .set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, how)
                       .set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
                       .finish());
  DnnDescriptor operation(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, at(x))
      .set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, at(y))
      .set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, parts_.back());
  end(operation);
}

void DnnGraph::apply(cudnnPointwiseMode_t mode, const std::vector<Value>& x, const Value& y,
                     cudnnDataType_t computed) {
  constexpr cudnnBackendAttributeName_t operands[] = {CUDNN_ATTR_OPERATION_POINTWISE_XDESC,
                                                      CUDNN_ATTR_OPERATION_POINTWISE_BDESC,
                                                      CUDNN_ATTR_OPERATION_POINTWISE_TDESC};
  parts_.push_back(DnnDescriptor(CUDNN_BACKEND_POINTWISE_DESCRIPTOR)
                       .set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode)
                       .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, computed)
                       .finish());
  DnnDescriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, parts_.back());
  for (size_t i = 0; i < x.size(); i++) operation.set(operands[i], at(x[i]));
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, at(y));
  end(operation);
}

DnnGraph::Value DnnGraph::apply(cudnnPointwiseMode_t mode, const std::vector<Value>& x) {
  Value y = between(x[0].shape);
  apply(mode, x, y);
  return y;
}

DnnGraph::Value DnnGraph::index(const Value& like, int64_t axis) {
  Value y = between(like.shape, CUDNN_DATA_INT32);
  parts_.push_back(
      DnnDescriptor(CUDNN_BACKEND_POINTWISE_DESCRIPTOR)
          .set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, CUDNN_POINTWISE_GEN_INDEX)
          .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
          .set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, axis)
          .finish());
  DnnDescriptor operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, parts_.back())
      .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, at(like))
      .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, at(y));
  end(operation);
  return y;
}

DnnPlan DnnGraph::plan(int64_t most_workspace, bool (*is_wanted)(const DnnDescriptor& choice)) {
  return make_dnn_plan(std::move(parts_), operations_, most_workspace, is_wanted);
}

}  // namespace mlx::core::cuda

#endif
