// Finding cuBLASLt at run time.
#include "mlx/backend/cuda/matmul_library.h"

#include <memory>
#include <stdexcept>
#include <string>

#include "mlx/backend/cuda/runtime/device.h"
#include "mlx/backend/cuda/runtime/shared_library.h"
#include "mlx/core/errors.h"

namespace mlx::core::cuda {

namespace {

const MatmulLibrary* open() {
  SharedLibrary file("libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR));
  auto library = std::make_unique<MatmulLibrary>();
  file.find(library->create, "cublasLtCreate");
  file.find(library->version, "cublasLtGetVersion");
  file.find(library->status_string, "cublasLtGetStatusString");
  file.find(library->matmul, "cublasLtMatmul");
  file.find(library->choose_algorithm, "cublasLtMatmulAlgoGetHeuristic");
  file.find(library->create_product, "cublasLtMatmulDescCreate");
  file.find(library->destroy_product, "cublasLtMatmulDescDestroy");
  file.find(library->set_product, "cublasLtMatmulDescSetAttribute");
  file.find(library->create_preference, "cublasLtMatmulPreferenceCreate");
  file.find(library->destroy_preference, "cublasLtMatmulPreferenceDestroy");
  file.find(library->set_preference, "cublasLtMatmulPreferenceSetAttribute");
  file.find(library->create_layout, "cublasLtMatrixLayoutCreate");
  file.find(library->destroy_layout, "cublasLtMatrixLayoutDestroy");
  file.find(library->set_layout, "cublasLtMatrixLayoutSetAttribute");
  return file.complete() ? library.release() : nullptr;
}

}  // namespace

const MatmulLibrary& MatmulLibrary::instance() {
  static const MatmulLibrary* library = open();
  if (!library) {
    throw std::runtime_error(error_message(
        OpScope::current(), "Products on the GPU need cuBLASLt, which is not installed: add the ",
        "package's extra `cuda`, or run it with stream=mx.cpu."));
  }
  return *library;
}

}  // namespace mlx::core::cuda
