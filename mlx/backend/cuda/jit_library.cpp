// Finding NVRTC at run time.
#include "mlx/backend/cuda/jit_library.h"

#include <cuda_runtime_api.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "mlx/backend/cuda/runtime/device.h"
#include "mlx/backend/cuda/runtime/shared_library.h"
#include "mlx/core/errors.h"

namespace mlx::core::cuda {

namespace {

const JitLibrary* open() {
  SharedLibrary file("libnvrtc.so." + std::to_string(CUDART_VERSION / 1000));
  auto library = std::make_unique<JitLibrary>();
  file.find(library->create, "nvrtcCreateProgram");
  file.find(library->destroy, "nvrtcDestroyProgram");
  file.find(library->compile, "nvrtcCompileProgram");
  file.find(library->cubin, "nvrtcGetCUBIN");
  file.find(library->cubin_size, "nvrtcGetCUBINSize");
  file.find(library->error_string, "nvrtcGetErrorString");
  file.find(library->log, "nvrtcGetProgramLog");
  file.find(library->log_size, "nvrtcGetProgramLogSize");
  return file.complete() ? library.release() : nullptr;
}

}  // namespace

const JitLibrary& JitLibrary::instance() {
  static const JitLibrary* library = open();
  if (!library) {
    throw std::runtime_error(error_message(
        OpScope::current(), "Kernels are compiled by NVRTC, which is not installed: add the ",
        "package's extra `cuda`, or run it with stream=mx.cpu."));
  }
  return *library;
}

}  // namespace mlx::core::cuda
