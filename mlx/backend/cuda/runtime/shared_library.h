// A library that is opened at run time, so that nothing depends on its being installed.
#pragma once

#include <dlfcn.h>

#include <string>

#include "mlx/core/faults.h"

namespace mlx::core::cuda {

/** What a call of a library has said, or `failed` where it is to fail. */
template <typename Status>
Status or_fault(Status said, Status failed) {
  return faults::strikes(faults::Point::device_library) ? failed : said;
}

/** Stays open for the life of the process. */
class SharedLibrary {
 public:
  explicit SharedLibrary(const std::string& name) : file_(open(name)), complete_(file_) {}

  template <typename Function>
  void find(Function& function, const char* name) {
    function = file_ ? reinterpret_cast<Function>(dlsym(file_, name)) : nullptr;
    complete_ = complete_ && function;
  }

  /** Whether the library is there with all that was looked for. */
  bool complete() const { return complete_; }

 private:
  /** Where the loader looks, or else where CUDA's own installer puts its libraries. */
  static void* open(const std::string& name) {
    if (faults::strikes(faults::Point::library)) {
      return nullptr;
    }
    void* file = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    return file ? file : dlopen((MLX_CUDA_FOLDER "/" + name).c_str(), RTLD_NOW | RTLD_LOCAL);
  }

  void* file_;
  bool complete_;
};

}  // namespace mlx::core::cuda
