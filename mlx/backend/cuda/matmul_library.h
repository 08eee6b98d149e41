// cuBLASLt, opened at the first product: it is the largest of the libraries, and many programs that
// look for a GPU never multiply on it.
#pragma once

#include <cublasLt.h>

namespace mlx::core::cuda {

/** The functions of cuBLASLt that are used. */
struct MatmulLibrary {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtGetVersion) version;
  decltype(&cublasLtGetStatusString) status_string;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulAlgoGetHeuristic) choose_algorithm;
  decltype(&cublasLtMatmulDescCreate) create_product;
  decltype(&cublasLtMatmulDescDestroy) destroy_product;
  decltype(&cublasLtMatmulDescSetAttribute) set_product;
  decltype(&cublasLtMatmulPreferenceCreate) create_preference;
  decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference;
  decltype(&cublasLtMatrixLayoutCreate) create_layout;
  decltype(&cublasLtMatrixLayoutDestroy) destroy_layout;
  decltype(&cublasLtMatrixLayoutSetAttribute) set_layout;

  /** Throws std::runtime_error where cuBLASLt is not installed. */
  static const MatmulLibrary& instance();
};

}  // namespace mlx::core::cuda
