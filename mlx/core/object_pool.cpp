// Free lists by size, one set for each thread, bounded in bytes.
#include "mlx/core/object_pool.h"

#include <utility>

#include "mlx/core/faults.h"  // builds with faults keep nothing

namespace mlx::core::object_pool {

namespace {

// Sanitizers see wrong uses only of memory that goes back to them, and memory that is kept never
// runs out.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(MLX_FAULTS)
constexpr size_t most_bytes = 0;
#else
constexpr size_t most_bytes = size_t{4} << 20;
#endif
constexpr size_t granule = 32, largest = 1024;

struct Free {
  Free* next;
};

struct Lists {
  Free* heads[largest / granule];
  size_t bytes;
  bool closed;  // the thread is ending
};

constinit thread_local Lists lists{};

/** Gives everything back when the thread ends. */
struct Closer {
  ~Closer() {
    for (Free*& head : lists.heads) {
      while (head) ::operator delete(std::exchange(head, head->next));
    }
    lists.bytes = 0;
    lists.closed = true;
  }
};

size_t class_of(size_t bytes) { return (bytes - 1) / granule; }

/** The first thing that a thread keeps makes sure that it is given back. */
void keep_first() { thread_local Closer closer; }

}  // namespace

void* take(size_t bytes) {
  if (bytes == 0 || bytes > largest) {
    return ::operator new(bytes);
  }
  size_t size = class_of(bytes);
  Lists& own = lists;
  Free*& head = own.heads[size];
  if (!head) {
    return ::operator new((size + 1) * granule);
  }
  own.bytes -= (size + 1) * granule;
  return std::exchange(head, head->next);
}

void give(void* memory, size_t bytes) noexcept {
  Lists& own = lists;
  if (bytes == 0 || bytes > largest || own.bytes >= most_bytes || own.closed) {
    ::operator delete(memory);
    return;
  }
  if (own.bytes == 0) keep_first();
  size_t size = class_of(bytes);
  own.heads[size] = new (memory) Free{own.heads[size]};
  own.bytes += (size + 1) * granule;
}

}  // namespace mlx::core::object_pool
