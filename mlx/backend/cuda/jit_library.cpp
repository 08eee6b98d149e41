// Finding NVRTC at run time.
#include "mlx/backend/cuda/jit_library.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
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

std::vector<std::string> cuda_header_folders() {
  std::vector<std::filesystem::path> roots;
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(JitLibrary::instance().create), &info) &&
      info.dli_fname) {
    std::error_code error;
    auto file = std::filesystem::canonical(info.dli_fname, error);
    roots.push_back(file.parent_path().parent_path());
  }
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const char* root = std::getenv(variable)) {
      roots.emplace_back(root);
    }
  }
  roots.emplace_back("/usr/local/cuda");
  std::vector<std::string> folders;
  for (const auto& root : roots) {
    for (const char* part : {"include", "include/cccl"}) {
      std::error_code error;
      if (std::filesystem::is_directory(root / part, error)) {
        folders.push_back((root / part).string());
      }
    }
  }
  return folders;
}

}  // namespace mlx::core::cuda
