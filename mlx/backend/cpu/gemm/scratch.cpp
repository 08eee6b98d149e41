// Thread-local buffers by nesting level.
#include "mlx/backend/cpu/gemm/scratch.h"

#include <sys/mman.h>

#include <new>

namespace mlx::core::cpu {

namespace {

constexpr size_t kLevels = 6;
constexpr size_t kKeptBytes = size_t{24} << 20;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr std::align_val_t kAlignment{64}, kHugeAlignment{kHugePage};

struct Buffer {
  void* data = nullptr;
  size_t bytes = 0;

  ~Buffer() { release(); }

  std::align_val_t alignment() const { return bytes < kHugePage ? kAlignment : kHugeAlignment; }

  void release() {
    ::operator delete(data, alignment());
    data = nullptr;
    bytes = 0;
  }

  // Large buffers lie in huge pages, since panels are read from all over them.
  void reserve(size_t wanted) {
    if (wanted <= bytes) return;
    release();
    bytes = wanted < kHugePage / 2 ? wanted : (wanted + kHugePage - 1) & ~(kHugePage - 1);
    data = ::operator new(bytes, alignment(), std::nothrow);
    if (!data) {
      bytes = 0;
      throw std::bad_alloc();
    }
    if (bytes >= kHugePage) madvise(data, bytes, MADV_HUGEPAGE);
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
