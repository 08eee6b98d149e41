// Finding cuDNN, and choosing an engine for a graph of operations.
#include "mlx/backend/cuda/dnn_library.h"

#if __has_include(<cudnn_graph.h>)
#include <memory>

#include "mlx/core/errors.h"

namespace mlx::core::cuda {

namespace {

constexpr int most_choices = 16;

std::unique_ptr<DnnLibrary> open_library() {
  SharedLibrary file("libcudnn.so.9");
  auto library = std::make_unique<DnnLibrary>();
  file.find(library->version, "cudnnGetVersion");
  file.find(library->create, "cudnnCreate");
  file.find(library->set_stream, "cudnnSetStream");
  file.find(library->create_descriptor, "cudnnBackendCreateDescriptor");
  file.find(library->destroy_descriptor, "cudnnBackendDestroyDescriptor");
  file.find(library->set_attribute, "cudnnBackendSetAttribute");
  file.find(library->get_attribute, "cudnnBackendGetAttribute");
  file.find(library->finalize, "cudnnBackendFinalize");
  file.find(library->execute, "cudnnBackendExecute");
  return file.complete() ? std::move(library) : nullptr;
}

/** The plan by this choice; its workspace is negative where the choice does not work. */
DnnPlan plan_by(const DnnDescriptor& choice) {
  DnnDescriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
  plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, dnn_handle())
      .set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, choice);
  int64_t workspace = -1;
  if (dnn().finalize(plan.object()) == CUDNN_STATUS_SUCCESS) {
    plan.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &workspace);
  }
  return {std::move(plan), workspace, {}};
}

}  // namespace

const DnnLibrary* DnnLibrary::find() {
  static const auto* library = open_library().release();
  return library;
}

cudnnHandle_t dnn_handle() {
  static const cudnnHandle_t handle = [] {
    cudnnHandle_t made = nullptr;
    bool works = DnnLibrary::find() && dnn().create(&made) == CUDNN_STATUS_SUCCESS;
    return works ? made : nullptr;
  }();
  return handle;
}

DnnPlan make_dnn_plan(DnnParts parts, const std::vector<cudnnBackendDescriptor_t>& operations,
                      int64_t most_workspace, bool (*is_wanted)(const DnnDescriptor& choice)) {
  DnnDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, operations)
      .set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, dnn_handle())
      .finish();
  DnnDescriptor advice(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  advice.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A)
      .finish();
  DnnParts choices;
  std::vector<cudnnBackendDescriptor_t> objects;
  for (int i = 0; i < most_choices; i++) {
    choices.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    objects.push_back(choices.back().object());
  }
  int64_t count = advice.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                             most_choices, objects.data());
  for (int64_t i = 0; i < count; i++) {
    DnnDescriptor& choice = choices[static_cast<size_t>(i)];
    if (!is_wanted(choice)) continue;
    DnnPlan plan = plan_by(choice);
    if (plan.workspace >= 0 && plan.workspace <= most_workspace) {
      parts.push_back(std::move(graph));
      parts.push_back(std::move(choice));
      plan.parts = std::move(parts);
      return plan;
    }
  }
  throw DnnRefusal{CUDNN_STATUS_NOT_SUPPORTED};
}

bool has_note(const DnnDescriptor& choice, const std::vector<cudnnBackendNumericalNote_t>& notes) {
  DnnDescriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t object = engine.object();
  choice.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &object);
  cudnnBackendNumericalNote_t found[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  int64_t count = engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                             CUDNN_NUMERICAL_NOTE_TYPE_COUNT, found);
  return std::find_first_of(found, found + count, notes.begin(), notes.end()) != found + count;
}

cudnnDataType_t dnn_type(Dtype dtype) {
  return dtype == float16    ? CUDNN_DATA_HALF
         : dtype == bfloat16 ? CUDNN_DATA_BFLOAT16
                             : CUDNN_DATA_FLOAT;
}

}  // namespace mlx::core::cuda

#endif
