// The caching allocator. Fresh pages cost more than the arithmetic on them (the system zeroes each
// one at first touch), so freed blocks are kept by size and handed out again. Every block starts
// with a small header that remembers its size.
#include "mlx/allocator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "mlx/core/errors.h"
#include "mlx/core/faults.h"
#include "mlx/core/fork.h"
#include "mlx/core/memory_pool.h"

namespace mlx::core {

namespace allocator {

namespace {

constexpr size_t header_bytes = 64;
constexpr size_t small_limit = size_t{1} << 20;
constexpr size_t huge_page = size_t{1} << 21;
constexpr size_t large_granule = size_t{1} << 16;

struct Header {
  size_t bytes;   // usable, behind the header
  void* mapping;  // start of the mapped region, or nullptr for a block of the C library
  size_t mapped;  // bytes of that region
};

Header* header_of(void* data) {
  return reinterpret_cast<Header*>(static_cast<char*>(data) - header_bytes);
}

// Sizes are rounded so that freed blocks fit later requests: to 64 bytes, then to an eighth of the
// next lower power of two, so less than an eighth is wasted.
size_t rounded(size_t size) {
  if (size <= 512) {
    return size == 0 ? 64 : (size + 63) & ~size_t{63};
  }
  size_t step = size_t{1} << (63 - __builtin_clzl(size) - 3);
  if (size > small_limit) {
    step = std::max(step, large_granule);
  }
  return (size + step - 1) & ~(step - 1);
}

void* map_block(size_t bytes) {
  size_t total = bytes + header_bytes + huge_page;
  void* region = mmap(nullptr, total, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) {
    return nullptr;
  }
  auto start = reinterpret_cast<uintptr_t>(region);
  auto aligned = (start + huge_page - 1) & ~(huge_page - 1);
  madvise(reinterpret_cast<void*>(aligned), bytes + header_bytes, MADV_HUGEPAGE);
  auto* header = reinterpret_cast<Header*>(aligned);
  *header = {bytes, region, total};
  return reinterpret_cast<char*>(aligned) + header_bytes;
}

void* new_block(size_t bytes) {
  if (faults::strikes(faults::Point::block)) {
    return nullptr;
  }
  if (bytes > small_limit) {
    return map_block(bytes);
  }
  void* start = std::aligned_alloc(64, bytes + header_bytes);
  if (!start) {
    return nullptr;
  }
  *static_cast<Header*>(start) = {bytes, nullptr, 0};
  return static_cast<char*>(start) + header_bytes;
}

void release_block(void* data) {
  Header* header = header_of(data);
  if (header->mapping) {
    munmap(header->mapping, header->mapped);
  } else {
    std::free(header);
  }
}

size_t physical_memory() {
  static const size_t bytes =
      static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

size_t usable_memory() { return physical_memory() / 10 * 9; }

class CachingAllocator {
 public:
  static CachingAllocator& instance() {
    static auto* allocator = new CachingAllocator;  // outlives every array
    return *allocator;
  }

  void* allocate(size_t size) {
    std::unique_lock lock(mutex_);
    check_size(size);
    size_t bytes = rounded(size);
    void* data = take_cached(bytes);
    if (!data) {
      make_room(bytes, size);
      lock.unlock();
      data = new_block(bytes);
      lock.lock();
      if (!data) {
        data = retry_without_cache(bytes, size);
      }
    }
    active_ += header_of(data)->bytes;
    peak_ = std::max(peak_, active_);
    watch_.update(active_ > limit_);
    return data;
  }

  void free(void* data) {
    std::lock_guard lock(mutex_);
    size_t bytes = header_of(data)->bytes;
    active_ -= bytes;
    watch_.update(active_ > limit_);
    if (bytes > cache_limit_ || active_ + cached_ + bytes > limit_) {
      release_block(data);
      return;
    }
    try {
      cache_[bytes].push_back(data);
    } catch (const std::bad_alloc&) {  // arrays are dropped without a failure
      release_block(data);
      return;
    }
    cached_ += bytes;
    trim_to(cache_limit_);
  }

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

  template <typename F>
  auto locked(F&& f) {
    std::lock_guard lock(mutex_);
    return f(*this);
  }

  void trim_to(size_t limit) {
    while (cached_ > limit) {
      auto largest = std::prev(cache_.end());
      if (largest->second.empty()) {
        cache_.erase(largest);
        continue;
      }
      cached_ -= largest->first;
      release_block(largest->second.back());
      largest->second.pop_back();
    }
  }

  size_t set_limit(size_t limit, bool strict) {
    strict_ = strict;
    size_t old = std::exchange(limit_, limit);
    trim_to(room_for_cache());
    watch_.update(active_ > limit_);
    return old;
  }

  size_t active_ = 0;
  size_t peak_ = 0;
  size_t cached_ = 0;
  size_t limit_ = usable_memory();
  bool strict_ = false;
  size_t cache_limit_ = physical_memory() / 4;

 private:
  CachingAllocator() = default;

  // What active memory never passes.
  size_t hard_limit() const { return strict_ ? limit_ : std::max(limit_, usable_memory()); }

  size_t room_for_cache() const { return limit_ > active_ ? limit_ - active_ : 0; }

  // Sizes that are in range stay so when they are rounded.
  void check_size(size_t size) const {
    if (size > std::min(hard_limit(), SIZE_MAX / 4) || faults::strikes(faults::Point::allocation)) {
      raise(size);
    }
  }

  [[noreturn]] void raise(size_t size) const {
    throw OutOfMemory(error_message("malloc", "Cannot allocate ", size, " bytes: ", active_,
                                    " bytes are active and the memory limit is ", hard_limit(),
                                    "."));
  }

  // A block that wastes at most an eighth, plus a granule for large ones.
  void* take_cached(size_t bytes) {
    auto it = cache_.lower_bound(bytes);
    while (it != cache_.end() && it->second.empty()) {
      it = cache_.erase(it);
    }
    size_t most = bytes > small_limit ? bytes + bytes / 8 + large_granule : bytes;
    if (it == cache_.end() || it->first > most) {
      return nullptr;
    }
    void* data = it->second.back();
    if (active_ + it->first > hard_limit()) {
      return nullptr;
    }
    it->second.pop_back();
    cached_ -= it->first;
    return data;
  }

  void make_room(size_t bytes, size_t size) {
    if (active_ + bytes > hard_limit()) {
      raise(size);
    }
    size_t room = room_for_cache();
    trim_to(room > bytes ? room - bytes : 0);
  }

  void* retry_without_cache(size_t bytes, size_t size) {
    trim_to(0);
    void* data = new_block(bytes);
    if (!data) {
      raise(size);
    }
    return data;
  }

  std::mutex mutex_;
  LimitWatch watch_;
  std::map<size_t, std::vector<void*>> cache_;
};

CachingAllocator& the_allocator() { return CachingAllocator::instance(); }

const OnFork registered(ForkStage::allocator,
                        {[] { the_allocator().lock(); }, [] { the_allocator().unlock(); },
                         [] { the_allocator().unlock(); }});

}  // namespace

Buffer malloc(size_t size) { return Buffer(the_allocator().allocate(size)); }

void free(Buffer buffer) {
  if (auto* memory = buffer.device_memory()) {
    delete memory;
  } else if (buffer.ptr()) {
    the_allocator().free(buffer.ptr());
  }
}

size_t allocated_size(Buffer buffer) {
  if (auto* memory = buffer.device_memory()) {
    return memory->bytes();
  }
  return buffer.ptr() ? header_of(buffer.ptr())->bytes : 0;
}

Buffer make_buffer(void* ptr, size_t /* size */) { return Buffer(ptr); }
void release(Buffer /* buffer */) {}
bool can_reuse_alien_buffer(void* /* ptr */) { return true; }

namespace {

class HostAllocator : public Allocator {
 public:
  Buffer malloc(size_t size) override { return allocator::malloc(size); }
  void free(Buffer buffer) override { allocator::free(buffer); }
  size_t size(Buffer buffer) const override { return allocated_size(buffer); }
  Buffer make_buffer(void* ptr, size_t size) override { return allocator::make_buffer(ptr, size); }
  void release(Buffer buffer) override { allocator::release(buffer); }
};

}  // namespace

Allocator& allocator() {
  static auto* host = new HostAllocator;
  return *host;
}

}  // namespace allocator

using allocator::the_allocator;

namespace {

// Host memory as a pool, the way backends show theirs.
class HostPool : public MemoryPool {
 public:
  size_t active() override {
    return the_allocator().locked([](auto& a) { return a.active_; });
  }
  size_t peak() override {
    return the_allocator().locked([](auto& a) { return a.peak_; });
  }
  void reset_peak() override {
    the_allocator().locked([](auto& a) { return a.peak_ = a.active_; });
  }
  size_t cached() override {
    return the_allocator().locked([](auto& a) { return a.cached_; });
  }
  size_t limit() override {
    return the_allocator().locked([](auto& a) { return a.limit_; });
  }
  size_t set_limit(size_t limit, bool strict) override {
    return the_allocator().locked([&](auto& a) { return a.set_limit(limit, strict); });
  }
  size_t set_cache_limit(size_t limit) override {
    return the_allocator().locked([limit](auto& a) {
      size_t old = std::exchange(a.cache_limit_, limit);
      a.trim_to(limit);
      return old;
    });
  }
  void clear_cache() override {
    the_allocator().locked([](auto& a) { a.trim_to(0); });
  }
};

}  // namespace

MemoryPool& host_memory_pool() {
  static auto* pool = new HostPool;
  return *pool;
}

}  // namespace mlx::core
