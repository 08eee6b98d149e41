// NVRTC, opened when the first kernel has to be compiled: kernels that the cache holds need none.
#pragma once

#include <nvrtc.h>

#include <string>
#include <vector>

namespace mlx::core::cuda {

/** The functions of NVRTC that are used. */
struct JitLibrary {
  decltype(&nvrtcCreateProgram) create;
  decltype(&nvrtcDestroyProgram) destroy;
  decltype(&nvrtcCompileProgram) compile;
  decltype(&nvrtcGetCUBIN) cubin;
  decltype(&nvrtcGetCUBINSize) cubin_size;
  decltype(&nvrtcGetErrorString) error_string;
  decltype(&nvrtcGetProgramLog) log;
  decltype(&nvrtcGetProgramLogSize) log_size;

  /** Throws std::runtime_error where NVRTC is not installed. */
  static const JitLibrary& instance();
};

/** Where CUDA's headers may be, for texts that include them: beside NVRTC, where the environment
 *  says, and where the toolkit puts them. */
std::vector<std::string> cuda_header_folders();

}  // namespace mlx::core::cuda
