// Plans of cuFFT, kept by shape. The library is opened at run time; where its headers were not
// there at build time it is never used.
#include "mlx/backend/cuda/fft_library.h"

#include "mlx/backend/cuda/runtime/allocator.h"
#include "mlx/backend/cuda/runtime/shared_library.h"
#include "mlx/backend/cuda/runtime/streams.h"
#include "mlx/core/errors.h"

#if __has_include(<cufft.h>)
#include <cufft.h>

#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#endif

namespace mlx::core::cuda {

namespace {

[[noreturn]] void fail_without_library() {
  throw std::runtime_error(error_message(
      OpScope::current(), "Fourier transforms on the GPU need cuFFT, which is not installed: add ",
      "the package's extra `cuda`, or run it with stream=mx.cpu."));
}

#if __has_include(<cufft.h>)

constexpr size_t most_plans = 128;

/** The functions that are used, by dlsym. */
struct Library {
  decltype(&cufftCreate) create;
  decltype(&cufftDestroy) destroy;
  decltype(&cufftSetAutoAllocation) set_auto_allocation;
  decltype(&cufftMakePlanMany64) make_plan;
  decltype(&cufftSetStream) set_stream;
  decltype(&cufftSetWorkArea) set_work_area;
  decltype(&cufftExecC2C) complex;
  decltype(&cufftExecR2C) to_half;
  decltype(&cufftExecC2R) from_half;
  decltype(&cufftExecZ2Z) wide_complex;

  /** Throws where there is none. */
  static const Library& instance() {
    static const Library* library = open();
    if (!library) {
      fail_without_library();
    }
    return *library;
  }

 private:
  static const Library* open() {
    SharedLibrary file("libcufft.so." + std::to_string(CUFFT_VER_MAJOR));
    auto library = std::make_unique<Library>();
    file.find(library->create, "cufftCreate");
    file.find(library->destroy, "cufftDestroy");
    file.find(library->set_auto_allocation, "cufftSetAutoAllocation");
    file.find(library->make_plan, "cufftMakePlanMany64");
    file.find(library->set_stream, "cufftSetStream");
    file.find(library->set_work_area, "cufftSetWorkArea");
    file.find(library->complex, "cufftExecC2C");
    file.find(library->to_half, "cufftExecR2C");
    file.find(library->from_half, "cufftExecC2R");
    file.find(library->wide_complex, "cufftExecZ2Z");
    return file.complete() ? library.release() : nullptr;
  }
};

void check_cufft(cufftResult said, const char* what) {
  cufftResult code = or_fault(said, CUFFT_INTERNAL_ERROR);
  if (code != CUFFT_SUCCESS) {
    throw std::runtime_error(error_message(OpScope::current(), "cuFFT failed while ", what,
                                           " with status ", static_cast<int>(code), "."));
  }
}

cufftType type_of(RowTransform kind) {
  switch (kind) {
    case RowTransform::complex:
      return CUFFT_C2C;
    case RowTransform::to_half:
      return CUFFT_R2C;
    case RowTransform::from_half:
      return CUFFT_C2R;
    case RowTransform::wide_complex:
      return CUFFT_Z2Z;
  }
  __builtin_unreachable();
}

/** Whether the library says that it has no such plan. */
bool is_refusal(cufftResult code) {
  return code == CUFFT_INVALID_SIZE || code == CUFFT_NOT_SUPPORTED;
}

struct Plan {
  cufftHandle handle = 0;
  size_t workspace = 0;
  uint64_t number = new_call_number();
  bool refused = false;  // several axes

  explicit Plan(const RowsCall& call) {
    const Library& library = Library::instance();
    check_cufft(library.create(&handle), "starting");
    try {
      std::vector<long long> lengths(call.lengths.begin(), call.lengths.end());
      auto rank = static_cast<int>(lengths.size());
      check_cufft(library.set_auto_allocation(handle, 0), "planning");
      auto code = library.make_plan(handle, rank, lengths.data(), nullptr, 1, 0, nullptr, 1, 0,
                                    type_of(call.kind), call.batch, &workspace);
      refused = rank > 1 && is_refusal(code);
      if (!refused) check_cufft(code, "planning");
    } catch (...) {
      library.destroy(handle);
      throw;
    }
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() { Library::instance().destroy(handle); }
};

/** The plan for the device of `s`. A full store is emptied. */
const Plan& kept_plan(const RowsCall& call, const Stream& s) {
  using Key = std::tuple<RowTransform, std::vector<int64_t>, int64_t, int>;
  static auto* plans = new std::map<Key, Plan>;
  Key key{call.kind, call.lengths, call.batch, s.device.index};
  auto it = plans->find(key);
  if (it != plans->end()) {
    return it->second;
  }
  if (plans->size() >= most_plans) {
    submit_all();
    check_cuda([&] { return cudaDeviceSynchronize(); }, "waiting for transforms");
    plans->clear();
  }
  // Planning does work of its own on the device, which must not happen while a stream is recorded.
  call_directly(s, [&](cudaStream_t) { it = plans->try_emplace(key, call).first; });
  return it->second;
}

cufftResult execute(const Library& library, cufftHandle plan, RowTransform kind, bool inverse,
                    void* in, void* out) {
  int direction = inverse ? CUFFT_INVERSE : CUFFT_FORWARD;
  switch (kind) {
    case RowTransform::complex:
      return library.complex(plan, static_cast<cufftComplex*>(in), static_cast<cufftComplex*>(out),
                             direction);
    case RowTransform::to_half:
      return library.to_half(plan, static_cast<cufftReal*>(in), static_cast<cufftComplex*>(out));
    case RowTransform::from_half:
      return library.from_half(plan, static_cast<cufftComplex*>(in), static_cast<cufftReal*>(out));
    case RowTransform::wide_complex:
      return library.wide_complex(plan, static_cast<cufftDoubleComplex*>(in),
                                  static_cast<cufftDoubleComplex*>(out), direction);
  }
  __builtin_unreachable();
}

#endif

}  // namespace

#if __has_include(<cufft.h>)

bool transform_rows(const RowsCall& call, const void* in, void* out, const Stream& s) {
  static auto* mutex = new std::mutex;  // a plan has one stream and one workspace at a time
  std::lock_guard lock(*mutex);
  use_device(s.device.index);
  const Library& library = Library::instance();
  const Plan& plan = kept_plan(call, s);
  if (plan.refused) {
    return false;
  }
  Scratch workspace(std::max<size_t>(plan.workspace, 1), s);
  LibraryCall execution(plan.number);
  execution.add(in).add(out).add(workspace.get()).add(call.inverse).takes_long();
  enqueue(s, execution, [&](cudaStream_t stream) {
    check_cufft(library.set_stream(plan.handle, stream), "transforming");
    check_cufft(library.set_work_area(plan.handle, workspace.get()), "transforming");
    check_cufft(execute(library, plan.handle, call.kind, call.inverse, const_cast<void*>(in), out),
                "transforming");
  });
  return true;
}

#else

bool transform_rows(const RowsCall&, const void*, void*, const Stream&) { fail_without_library(); }

#endif

}  // namespace mlx::core::cuda
