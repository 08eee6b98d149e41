// A kernel that does one call of a function of the kernel headers: how it is named, written and
// found. Apart from what starts it, so that its text compiles without a GPU.
#pragma once

#include <array>
#include <initializer_list>
#include <mutex>
#include <string>
#include <unordered_map>

#include "mlx/backend/cuda/jit.h"

namespace mlx::core::cuda {

struct KernelCall {
  const char* header;      // in mlx/backend/cuda/kernels
  std::string parameters;  // the struct that the function takes
  std::string function;
  int threads = 256;            // of a block, at most
  int blocks = 1;               // that a multiprocessor must be able to hold
  std::string ahead = {};       // a function that asks for memory before the kernel begins
  bool awaits_earlier = false;  // the function itself does, when it needs earlier work
};

std::string source_of(const KernelCall& call);

Kernel kernel_of(const KernelCall& call, const Stream& s);

/** A kernel whose text is put together otherwise. */
struct NamedText {
  std::string key;
  const char* name;
  std::function<std::string()> source;
};

inline Kernel kernel_of(const NamedText& text, const Stream& s) {
  return kernel_of(text.key, text.name, s, text.source);
}

/** Has the kernel compiled soon if it was not so far. */
void foresee_kernel(const KernelCall& call, const Stream& s) noexcept;

/** The kernels of one family by the few numbers that choose among them: making a kernel's name, by
 *  which it is known, takes longer than starting it. */
class KernelTable {
 public:
  /** The kernel that `call`, a KernelCall or NamedText, describes: a function of `numbers` and
   *  nothing else. */
  template <typename F>
  Kernel find(std::initializer_list<int64_t> numbers, const Stream& s, const F& call) {
    Key key = key_of(numbers);
    {
      std::lock_guard lock(mutex_);
      auto known = kernels_.find(key);
      if (known != kernels_.end()) {
        return known->second;
      }
    }
    Kernel made = kernel_of(call(), s);
    std::lock_guard lock(mutex_);
    return kernels_.emplace(key, made).first->second;
  }

 private:
  using Key = std::array<int64_t, 6>;
  struct Hash {
    size_t operator()(const Key& key) const;
  };

  static Key key_of(std::initializer_list<int64_t> numbers);

  std::mutex mutex_;
  std::unordered_map<Key, Kernel, Hash> kernels_;
};

}  // namespace mlx::core::cuda
