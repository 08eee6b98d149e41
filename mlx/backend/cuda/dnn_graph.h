// A graph of operations for cuDNN while it is being written down: tensors in device memory, numbers
// that come with each call, and what lies between and never reaches memory.
#pragma once

#include "mlx/backend/cuda/dnn_library.h"

#if __has_include(<cudnn_graph.h>)

namespace mlx::core::cuda {

using DnnShape = std::vector<int64_t>;

class DnnGraph {
 public:
  /** A tensor of the graph. */
  struct Value {
    size_t part;
    DnnShape shape;
  };

  /** In device memory, at an address divisible by 16, which comes under this number. */
  Value memory(int64_t id, cudnnDataType_t type, const DnnShape& shape, const DnnShape& strides);
  /** A single number, which comes under this number. */
  Value number(int64_t id, cudnnDataType_t type);
  /** Row-contiguous where there are no strides. */
  Value between(const DnnShape& shape, cudnnDataType_t type = CUDNN_DATA_FLOAT,
                const DnnShape& strides = {});

  void multiply(const Value& a, const Value& b, const Value& c);
  /** y = x seen in another shape or order. */
  void reshape(const Value& x, const Value& y);
  void reduce(cudnnReduceTensorOp_t how, const Value& x, const Value& y);
  /** Element by element, in float unless another type is named. */
  void apply(cudnnPointwiseMode_t mode, const std::vector<Value>& x, const Value& y,
             cudnnDataType_t computed = CUDNN_DATA_FLOAT);
  /** The same with a new value for the result, of the shape of the first operand. */
  Value apply(cudnnPointwiseMode_t mode, const std::vector<Value>& x);
  /** The place of each element along an axis. */
  Value index(const Value& like, int64_t axis);

  /** Ends the graph; throws DnnRefusal where the library has no engine for it. */
  DnnPlan plan(int64_t most_workspace, bool (*is_wanted)(const DnnDescriptor& choice));

 private:
  Value tensor(int64_t id, cudnnDataType_t type, const DnnShape& shape, const DnnShape& strides,
               bool is_virtual, bool by_value);
  const DnnDescriptor& at(const Value& v) const { return parts_[v.part]; }
  void end(DnnDescriptor& operation);

  DnnParts parts_;
  std::vector<cudnnBackendDescriptor_t> operations_;
  int64_t next_ = 1000;  // numbers of what lies between
};

}  // namespace mlx::core::cuda

#endif
