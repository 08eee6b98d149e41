// cuDNN's graph interface: the library is opened at run time, and its objects are described
// attribute by attribute. Where its headers were not there at build time it is never used.
#pragma once

#if __has_include(<cudnn_graph.h>)
#include <cudnn_graph.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "mlx/backend/cuda/runtime/library_calls.h"
#include "mlx/backend/cuda/runtime/shared_library.h"
#include "mlx/dtype.h"

namespace mlx::core::cuda {

/** The functions that are used, by dlsym. */
struct DnnLibrary {
  decltype(&cudnnGetVersion) version;
  decltype(&cudnnCreate) create;
  decltype(&cudnnSetStream) set_stream;
  decltype(&cudnnBackendCreateDescriptor) create_descriptor;
  decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor;
  decltype(&cudnnBackendSetAttribute) set_attribute;
  decltype(&cudnnBackendGetAttribute) get_attribute;
  decltype(&cudnnBackendFinalize) finalize;
  decltype(&cudnnBackendExecute) execute;

  /** Null where it is not installed. */
  static const DnnLibrary* find();
};

/** The library, which has been found. */
inline const DnnLibrary& dnn() { return *DnnLibrary::find(); }

/** Thrown where the library refuses, which is no error: the caller has another way. */
struct DnnRefusal {
  cudnnStatus_t code;
};

inline void expect(cudnnStatus_t said) {
  cudnnStatus_t code = or_fault(said, CUDNN_STATUS_INTERNAL_ERROR);
  if (code != CUDNN_STATUS_SUCCESS) {
    throw DnnRefusal{code};
  }
}

/** An object of the library. */
class DnnDescriptor {
 public:
  explicit DnnDescriptor(cudnnBackendDescriptorType_t type) {
    expect(dnn().create_descriptor(type, &object_));
  }
  DnnDescriptor(DnnDescriptor&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  DnnDescriptor& operator=(DnnDescriptor&&) = delete;
  ~DnnDescriptor() {
    if (object_) {
      dnn().destroy_descriptor(object_);
    }
  }

  template <typename T>
  DnnDescriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                     const std::vector<T>& values) {
    expect(dnn().set_attribute(object_, name, type, static_cast<int64_t>(values.size()),
                               values.data()));
    return *this;
  }
  template <typename T>
  DnnDescriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, T value) {
    expect(dnn().set_attribute(object_, name, type, 1, &value));
    return *this;
  }
  DnnDescriptor& set(cudnnBackendAttributeName_t name, const DnnDescriptor& other) {
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, other.object_);
  }
  /** Up to `most` values into `to`; how many there are. */
  int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t most,
              void* to) const {
    int64_t count = 0;
    expect(dnn().get_attribute(object_, name, type, most, &count, to));
    return std::min(count, most);
  }
  DnnDescriptor&& finish() {
    expect(dnn().finalize(object_));
    return std::move(*this);
  }
  cudnnBackendDescriptor_t object() const { return object_; }

 private:
  cudnnBackendDescriptor_t object_ = nullptr;
};

/** Descriptors that others refer to. */
using DnnParts = std::vector<DnnDescriptor>;

inline const DnnDescriptor& kept(DnnParts& parts, DnnDescriptor&& part) {
  parts.push_back(std::move(part));
  return parts.back();
}

/** For the GPU of the calling thread. Null where the library does not work with it. */
cudnnHandle_t dnn_handle();

struct DnnPlan {
  DnnDescriptor plan;
  int64_t workspace;
  DnnParts parts;  // what the plan refers to
  uint64_t number = new_call_number();
  bool can_be_recorded = true;  // as long as it has not failed
};

/** A plan for these operations: the first of the library's own choices that `is_wanted` and that
 *  works with at most `most_workspace` bytes. Throws DnnRefusal where there is none. `parts`, which
 *  the operations refer to, go into the plan. */
DnnPlan make_dnn_plan(DnnParts parts, const std::vector<cudnnBackendDescriptor_t>& operations,
                      int64_t most_workspace, bool (*is_wanted)(const DnnDescriptor& choice));

/** Whether a choice of engine has one of these properties. */
bool has_note(const DnnDescriptor& choice, const std::vector<cudnnBackendNumericalNote_t>& notes);

cudnnDataType_t dnn_type(Dtype dtype);

}  // namespace mlx::core::cuda

#endif
