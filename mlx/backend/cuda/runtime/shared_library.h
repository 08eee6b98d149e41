// A library that is opened at run time, so that nothing depends on its being installed.
#pragma once

#include <dlfcn.h>

#include <string>

namespace mlx::core::cuda {

/** Stays open for the life of the process. */
class SharedLibrary {
 public:
  explicit SharedLibrary(const std::string& name)
      : file_(dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)), complete_(file_ != nullptr) {}

  template <typename Function>
  void find(Function& function, const char* name) {
    function = file_ ? reinterpret_cast<Function>(dlsym(file_, name)) : nullptr;
    complete_ = complete_ && function;
  }

  /** Whether the library is there with all that was looked for. */
  bool complete() const { return complete_; }

 private:
  void* file_;
  bool complete_;
};

}  // namespace mlx::core::cuda
