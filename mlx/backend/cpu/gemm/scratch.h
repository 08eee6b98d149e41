// Working memory of the gemm engine: per thread, kept between calls, bounded.
#pragma once

#include <cstddef>

namespace mlx::core::cpu {

// A use of one of the calling thread's buffers, from construction to destruction. Uses nest: an
// inner one gets a different buffer. The memory is aligned to 64 bytes and not initialised. Small
// buffers are kept for the next use, large ones are freed. Throws std::bad_alloc.
class Scratch {
 public:
  explicit Scratch(size_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  void* data() const { return data_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_;
  size_t level_;
};

}  // namespace mlx::core::cpu
