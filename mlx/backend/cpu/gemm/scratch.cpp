// Thread-local buffers by nesting level.
#include "mlx/backend/cpu/gemm/scratch.h"

#include <new>

namespace mlx::core::cpu {

namespace {

constexpr size_t kLevels = 6;
constexpr size_t kKeptBytes = size_t{16} << 20;
constexpr std::align_val_t kAlignment{64};

struct Buffer {
  void* data = nullptr;
  size_t bytes = 0;

  ~Buffer() { release(); }

  void release() {
    ::operator delete(data, kAlignment);
    data = nullptr;
    bytes = 0;
  }

  void reserve(size_t wanted) {
    if (wanted <= bytes) return;
    release();
    data = ::operator new(wanted, kAlignment);
    bytes = wanted;
  }
};

thread_local Buffer buffers[kLevels];
thread_local size_t depth = 0;

}  // namespace

Scratch::Scratch(size_t bytes) : level_(depth) {
  if (level_ < kLevels) {
    buffers[level_].reserve(bytes);
    data_ = buffers[level_].data;
  } else {
    data_ = ::operator new(bytes, kAlignment);
  }
  ++depth;
}

Scratch::~Scratch() {
  --depth;
  if (level_ >= kLevels) {
    ::operator delete(data_, kAlignment);
  } else if (buffers[level_].bytes > kKeptBytes) {
    buffers[level_].release();
  }
}

}  // namespace mlx::core::cpu
