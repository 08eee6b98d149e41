// Memory for the objects that graphs are made of. They come and go by the thousand with every
// evaluation, all of a few sizes, which general allocators are slow at: each thread keeps what it
// frees and takes it again, last in first out, so that it is in the cache. Threads that free more
// than they take, as those of streams do, hand it on to others.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace mlx::core {

namespace object_pool {

/** Memory for any object of ordinary alignment. Throws std::bad_alloc. */
void* take(size_t bytes);
/** Takes back what `take` gave for so many bytes, on any thread. */
void give(void* memory, size_t bytes) noexcept;

}  // namespace object_pool

/** The pool as containers and shared pointers take it. */
template <typename T>
struct PoolAllocator {
  using value_type = T;

  PoolAllocator() = default;
  template <typename U>
  PoolAllocator(const PoolAllocator<U>& /* other */) {}

  T* allocate(size_t n) {
    static_assert(alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);
    return static_cast<T*>(object_pool::take(n * sizeof(T)));
  }
  void deallocate(T* memory, size_t n) noexcept { object_pool::give(memory, n * sizeof(T)); }

  bool operator==(const PoolAllocator&) const = default;
};

/** std::make_shared with memory of the pool. */
template <typename T, typename... Args>
std::shared_ptr<T> make_pooled(Args&&... args) {
  return std::allocate_shared<T>(PoolAllocator<T>(), std::forward<Args>(args)...);
}

}  // namespace mlx::core
