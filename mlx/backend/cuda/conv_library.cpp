// Plans of cuDNN's graph interface, kept by shape. The library is opened at run time; where its
// headers were not there at build time it is never used.
#include "mlx/backend/cuda/conv_library.h"

#include "mlx/backend/cuda/runtime/allocator.h"
#include "mlx/backend/cuda/runtime/shared_library.h"
#include "mlx/backend/cuda/runtime/streams.h"
#include "mlx/core/errors.h"

#if __has_include(<cudnn_graph.h>)
#include <cudnn_graph.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>

namespace mlx::core::cuda {

namespace {

constexpr size_t most_plans = 512;
constexpr int64_t most_workspace = int64_t{256} << 20;
constexpr int most_choices = 16;

/** The functions that are used, by dlsym. */
struct Library {
  decltype(&cudnnCreate) create;
  decltype(&cudnnSetStream) set_stream;
  decltype(&cudnnBackendCreateDescriptor) create_descriptor;
  decltype(&cudnnBackendDestroyDescriptor) destroy_descriptor;
  decltype(&cudnnBackendSetAttribute) set_attribute;
  decltype(&cudnnBackendGetAttribute) get_attribute;
  decltype(&cudnnBackendFinalize) finalize;
  decltype(&cudnnBackendExecute) execute;
  cudnnHandle_t handle = nullptr;

  /** Null where there is none that works. */
  static Library* instance() {
    static Library* library = open();
    return library;
  }

 private:
  static Library* open() {
    SharedLibrary file("libcudnn.so.9");
    auto library = std::make_unique<Library>();
    file.find(library->create, "cudnnCreate");
    file.find(library->set_stream, "cudnnSetStream");
    file.find(library->create_descriptor, "cudnnBackendCreateDescriptor");
    file.find(library->destroy_descriptor, "cudnnBackendDestroyDescriptor");
    file.find(library->set_attribute, "cudnnBackendSetAttribute");
    file.find(library->get_attribute, "cudnnBackendGetAttribute");
    file.find(library->finalize, "cudnnBackendFinalize");
    file.find(library->execute, "cudnnBackendExecute");
    if (!file.complete() || library->create(&library->handle) != CUDNN_STATUS_SUCCESS) {
      return nullptr;
    }
    return library.release();
  }
};

Library& library() { return *Library::instance(); }

/** Thrown inside this file where the library refuses, which is no error. */
struct Refusal {
  cudnnStatus_t code;
};

void expect(cudnnStatus_t code) {
  if (code != CUDNN_STATUS_SUCCESS) {
    throw Refusal{code};
  }
}

/** An object of the library, described attribute by attribute. */
class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    expect(library().create_descriptor(type, &object_));
  }
  Descriptor(Descriptor&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (object_) {
      library().destroy_descriptor(object_);
    }
  }

  template <typename T>
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                  const std::vector<T>& values) {
    expect(library().set_attribute(object_, name, type, static_cast<int64_t>(values.size()),
                                   values.data()));
    return *this;
  }
  template <typename T>
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, T value) {
    expect(library().set_attribute(object_, name, type, 1, &value));
    return *this;
  }
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, other.object_);
  }
  /** Up to `most` values into `to`; how many there are. */
  int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t most,
              void* to) const {
    int64_t count = 0;
    expect(library().get_attribute(object_, name, type, most, &count, to));
    return std::min(count, most);
  }
  Descriptor&& finish() {
    expect(library().finalize(object_));
    return std::move(*this);
  }
  cudnnBackendDescriptor_t object() const { return object_; }

 private:
  cudnnBackendDescriptor_t object_ = nullptr;
};

cudnnDataType_t type_of(Dtype dtype) {
  return dtype == float16 ? CUDNN_DATA_HALF : CUDNN_DATA_BFLOAT16;
}

constexpr int64_t x_id = 1, w_id = 2, y_id = 3;

Descriptor tensor(const LibraryTensor& t, Dtype dtype, int64_t id) {
  auto alignment = static_cast<int64_t>(reinterpret_cast<uint64_t>(t.data) % 16 == 0 ? 16 : 2);
  return Descriptor(CUDNN_BACKEND_TENSOR_DESCRIPTOR)
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type_of(dtype))
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, t.shape)
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, t.strides)
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, alignment)
      .finish();
}

/** Descriptors that others refer to. */
using Parts = std::vector<Descriptor>;

const Descriptor& kept(Parts& parts, Descriptor&& part) {
  parts.push_back(std::move(part));
  return parts.back();
}

Descriptor operation(const LibraryConv& conv, Parts& parts) {
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
  Descriptor result(types[conv.result]);
  result.set(name[1], kept(parts, tensor(conv.x, conv.dtype, x_id)))
      .set(name[2], kept(parts, tensor(conv.w, conv.dtype, w_id)))
      .set(name[3], kept(parts, tensor(conv.y, conv.dtype, y_id)))
      .set(name[4], CUDNN_TYPE_FLOAT, 1.0f)
      .set(name[5], CUDNN_TYPE_FLOAT, 0.0f);
  Descriptor walk =
      Descriptor(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR)
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

struct Plan {
  Descriptor plan;
  int64_t workspace;
  Parts parts;
};

/** Whether an engine adds up in float, in the same order each time. */
bool is_trusted(const Descriptor& choice) {
  Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t object = engine.object();
  choice.get(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &object);
  cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
  int64_t count = engine.get(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                             CUDNN_NUMERICAL_NOTE_TYPE_COUNT, notes);
  return std::none_of(notes, notes + count, [](auto note) {
    return note == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION ||
           note == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC || note == CUDNN_NUMERICAL_NOTE_FFT ||
           note == CUDNN_NUMERICAL_NOTE_WINOGRAD;
  });
}

std::unique_ptr<Plan> plan_of(const Descriptor& choice) {
  try {
    if (!is_trusted(choice)) {
      return nullptr;
    }
    Descriptor plan =
        Descriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)
            .set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, library().handle)
            .set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, choice)
            .finish();
    int64_t workspace = 0;
    plan.get(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &workspace);
    return workspace > most_workspace
               ? nullptr
               : std::make_unique<Plan>(Plan{std::move(plan), workspace, {}});
  } catch (const Refusal&) {
    return nullptr;
  }
}

/** The first of the library's own choices that works, or null. */
std::unique_ptr<Plan> make_plan(const LibraryConv& conv) {
  try {
    Parts parts;
    const Descriptor& convolution = kept(parts, operation(conv, parts));
    Descriptor graph =
        Descriptor(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR)
            .set(CUDNN_ATTR_OPERATIONGRAPH_OPS, convolution)
            .set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, library().handle)
            .finish();
    Descriptor advice =
        Descriptor(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR)
            .set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
            .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A)
            .finish();
    Parts choices;
    std::vector<cudnnBackendDescriptor_t> objects;
    for (int i = 0; i < most_choices; i++) {
      choices.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
      objects.push_back(choices.back().object());
    }
    int64_t count = advice.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                               most_choices, objects.data());
    for (int64_t i = 0; i < count; i++) {
      if (auto plan = plan_of(choices[static_cast<size_t>(i)])) {
        parts.push_back(std::move(graph));
        parts.push_back(std::move(choices[static_cast<size_t>(i)]));
        plan->parts = std::move(parts);
        return plan;
      }
    }
  } catch (const Refusal&) {
    return nullptr;
  }
  return nullptr;
}

using Key = std::vector<int64_t>;

Key key_of(const LibraryConv& conv) {
  Key key = {static_cast<int64_t>(conv.result), static_cast<int64_t>(conv.dtype.val())};
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

/** The plan for such a convolution, or null. Plans are few, so a full store is emptied. */
Plan* kept_plan(const LibraryConv& conv) {
  static auto* plans = new std::map<Key, std::unique_ptr<Plan>>;
  Key key = key_of(conv);
  auto it = plans->find(key);
  if (it == plans->end()) {
    if (plans->size() >= most_plans) {
      check_cuda(cudaDeviceSynchronize(), "waiting for convolutions");
      plans->clear();
    }
    it = plans->emplace(std::move(key), make_plan(conv)).first;
  }
  return it->second.get();
}

}  // namespace

bool run_by_library(const LibraryConv& conv, const Stream& s) {
  static auto* mutex = new std::mutex;  // the handle has one stream at a time
  std::lock_guard lock(*mutex);
  use_device(s.device.index);
  if (!Library::instance()) {
    return false;
  }
  Plan* plan = kept_plan(conv);
  if (!plan) {
    return false;
  }
  Scratch workspace(static_cast<size_t>(plan->workspace), s);
  try {
    Descriptor pack =
        Descriptor(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR)
            .set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64,
                 std::vector<int64_t>{x_id, w_id, y_id})
            .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR,
                 std::vector<const void*>{conv.x.data, conv.w.data, conv.y.data})
            .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace.get())
            .finish();
    // Not recorded: not every engine of the library can be.
    call_directly(s, [&](cudaStream_t stream) {
      expect(library().set_stream(library().handle, stream));
      expect(library().execute(library().handle, plan->plan.object(), pack.object()));
    });
  } catch (const Refusal& refusal) {
    throw std::runtime_error(error_message(OpScope::current(), "cuDNN failed with status ",
                                           static_cast<int>(refusal.code), "."));
  }
  return true;
}

}  // namespace mlx::core::cuda

#else

namespace mlx::core::cuda {

bool run_by_library(const LibraryConv&, const Stream&) { return false; }

}  // namespace mlx::core::cuda

#endif
