// The caching allocator of device memory.
#include "mlx/backend/cuda/runtime/allocator.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "mlx/backend/cuda/runtime/staging.h"
#include "mlx/backend/cuda/runtime/streams.h"
#include "mlx/core/errors.h"
#include "mlx/core/faults.h"
#include "mlx/core/layout.h"

namespace mlx::core::cuda {

namespace {

constexpr size_t small_limit = size_t{1} << 20;
constexpr size_t large_granule = size_t{2} << 20;

constexpr size_t granule = 512, fine_limit = 4096;

/** To 512 bytes, then to an eighth of the next lower power of two; large ones to 2 MiB. */
size_t rounded(size_t size) {
  if (size <= fine_limit) {
    return size == 0 ? granule : (size + granule - 1) & ~(granule - 1);
  }
  size_t step = size_t{1} << (63 - __builtin_clzl(size) - 3);
  step = size > small_limit ? std::max(step, large_granule) : step;
  return (size + step - 1) & ~(step - 1);
}

/** The number of a rounded size up to the small limit among all of them, in ascending order. */
constexpr size_t class_of(size_t size) {
  if (size <= fine_limit) return size / granule - 1;
  auto power = static_cast<size_t>(63 - __builtin_clzl(size - 1));
  return fine_limit / granule + 8 * (power - 12) + ((size - 1) >> (power - 3)) - 8;
}

/** Freed blocks of one stream by their size, in a heap for each: the one with the lowest address
 * goes first, in whatever order they came back. Steps that repeat then get the same ones, and what
 * is replayed keeps its arguments. The heap of a small size is found at once, the large ones are in
 * a map. */
class FreeBlocks {
 public:
  void give(void* address, size_t bytes) {
    auto& blocks = bytes > small_limit ? large_[bytes] : small_[class_of(bytes)];
    blocks.push_back(address);
    std::push_heap(blocks.begin(), blocks.end(), std::greater<>());
  }

  /** A block that wastes at most an eighth and 2 MiB, if there is one; `bytes` becomes its size. */
  void* take(size_t& bytes, size_t most) {
    if (bytes <= small_limit) {
      auto& blocks = small_[class_of(bytes)];
      return blocks.empty() || bytes > most ? nullptr : pop(blocks);
    }
    most = std::min(most, bytes + bytes / 8 + large_granule);
    for (auto it = large_.lower_bound(bytes); it != large_.end() && it->first <= most; ++it) {
      if (it->second.empty()) continue;
      bytes = it->first;
      return pop(it->second);
    }
    return nullptr;
  }

  /** Calls drop(blocks, bytes) for the lists from the largest size to the smallest. */
  template <typename F>
  void for_each(const F& drop) {
    for (auto it = large_.rbegin(); it != large_.rend(); ++it) drop(it->second, it->first);
    for (size_t size = small_limit; size > 0; size = size_below(size))
      drop(small_[class_of(size)], size);
  }

 private:
  static void* pop(std::vector<void*>& blocks) {
    std::pop_heap(blocks.begin(), blocks.end(), std::greater<>());
    void* address = blocks.back();
    blocks.pop_back();
    return address;
  }

  /** The next smaller rounded size, or 0. */
  static size_t size_below(size_t size) {
    if (size <= fine_limit) return size - granule;
    return size - (size_t{1} << (63 - __builtin_clzl(size - 1) - 3));
  }

  std::vector<void*> small_[class_of(small_limit) + 1];
  std::map<size_t, std::vector<void*>> large_;
};

cudaError_t system_block(void** address, size_t bytes) {
  bool fault = faults::strikes(faults::Point::device_memory);
  return fault ? cudaErrorMemoryAllocation : cudaMalloc(address, bytes);
}

std::atomic<uint64_t> returns{0};

class Pool : public MemoryPool {
 public:
  static Pool& instance() {
    static auto* pool = new Pool;  // outlives every array
    return *pool;
  }

  void* take(size_t size, const Stream& s, size_t& bytes) {
    std::lock_guard lock(mutex_);
    bytes = rounded(size);
    void* address = take_cached(bytes, s);
    if (!address) {
      make_room(bytes, size);
      address = new_block(bytes, size, s);
    }
    active_ += bytes;
    peak_ = std::max(peak_, active_);
    watch_.update(active_ > limit_);
    return address;
  }

  /** Back to the driver, which waits for whatever uses the block. */
  void release(void* address, size_t bytes) {
    std::lock_guard lock(mutex_);
    active_ -= bytes;
    watch_.update(active_ > limit_);
    submit_all();
    returns++;
    cudaFree(address);
  }

  void give(void* address, size_t bytes, const Stream& owner) {
    std::lock_guard lock(mutex_);
    active_ -= bytes;
    watch_.update(active_ > limit_);
    blocks_of(owner).give(address, bytes);
    cached_ += bytes;
    size_t limit = std::min(cache_limit_, room_for_cache());
    if (cached_ > limit) trim_to(limit);
  }

  size_t active() override { return locked(active_); }
  size_t peak() override { return locked(peak_); }
  void reset_peak() override {
    std::lock_guard lock(mutex_);
    peak_ = active_;
  }
  size_t cached() override { return locked(cached_); }
  size_t limit() override { return locked(limit_); }
  size_t set_limit(size_t limit, bool strict) override {
    std::lock_guard lock(mutex_);
    strict_ = strict;
    size_t old = std::exchange(limit_, limit);
    trim_to(room_for_cache());
    watch_.update(active_ > limit_);
    return old;
  }
  size_t set_cache_limit(size_t limit) override {
    std::lock_guard lock(mutex_);
    size_t old = std::exchange(cache_limit_, limit);
    trim_to(limit);
    return old;
  }
  void clear_cache() override {
    std::lock_guard lock(mutex_);
    trim_to(0);
  }

 private:
  Pool() {
    size_t total = device_facts(0).memory;
    limit_ = total / 20 * 19;
    cache_limit_ = limit_;
  }

  size_t locked(const size_t& counter) {
    std::lock_guard lock(mutex_);
    return counter;
  }

  /** What active memory never passes; without a strict limit, the driver says when it is over. */
  size_t hard_limit() const { return strict_ ? limit_ : SIZE_MAX / 4; }

  size_t room_for_cache() const { return limit_ > active_ ? limit_ - active_ : 0; }

  /** A cached block of the stream that wastes at most an eighth; `bytes` becomes its size. */
  void* take_cached(size_t& bytes, const Stream& s) {
    size_t room = hard_limit() > active_ ? hard_limit() - active_ : 0;
    void* address = blocks_of(s).take(bytes, room);
    cached_ -= address ? bytes : 0;
    return address;
  }

  FreeBlocks& blocks_of(const Stream& s) {
    if (!last_blocks_ || last_stream_ != s) {
      last_blocks_ = &cache_[s];
      last_stream_ = s;
    }
    return *last_blocks_;
  }

  void make_room(size_t bytes, size_t size) {
    if (bytes > hard_limit() || active_ + bytes > hard_limit()) {
      raise(size);
    }
    size_t room = room_for_cache();
    trim_to(room > bytes ? room - bytes : 0);
  }

  void* new_block(size_t bytes, size_t size, const Stream& s) {
    use_device(s.device.index);
    void* address = nullptr;
    cudaError_t code = system_block(&address, bytes);
    if (code == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      trim_to(0);
      code = system_block(&address, bytes);
    }
    if (code == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      raise(size);
    }
    check_cuda([&] { return code; }, "allocating memory");
    return address;
  }

  [[noreturn]] void raise(size_t size) const {
    throw OutOfMemory(error_message(OpScope::current(), "Cannot allocate ", size,
                                    " bytes on the GPU: ", active_,
                                    " bytes are active and the memory limit is ", limit_, "."));
  }

  // Returning memory waits for the device, so work still queued on a block is safe; what is only
  // recorded has to be queued first.
  void trim_to(size_t limit) {
    if (cached_ <= limit) {
      return;
    }
    submit_all();
    returns++;
    for (auto& [stream, blocks] : cache_) {
      blocks.for_each([&](std::vector<void*>& addresses, size_t bytes) {
        while (!addresses.empty() && cached_ > limit) {
          cudaFree(addresses.back());
          addresses.pop_back();
          cached_ -= bytes;
        }
      });
    }
  }

  std::mutex mutex_;
  LimitWatch watch_;
  bool strict_ = false;
  std::map<Stream, FreeBlocks> cache_;
  FreeBlocks* last_blocks_ = nullptr;  // of the last stream that was asked for
  Stream last_stream_{-1, Device::gpu};
  size_t active_ = 0, peak_ = 0, cached_ = 0, limit_ = 0, cache_limit_ = 0;
};

}  // namespace

namespace {

std::mutex& host_copies_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

}  // namespace

Block::~Block() {
  drop_host_copies();
  try {
    for (const auto& user : users_) {
      order_after(owner_, user);
    }
  } catch (const std::exception&) {  // the owner cannot have it while others may still use it
    Pool::instance().release(address_, bytes_);
    return;
  }
  Pool::instance().give(address_, bytes_, owner_);
}

void Block::fetch_ahead(size_t begin, size_t end, const Stream& after) {
  if (end - begin > FewBytes::most) {
    return;
  }
  std::lock_guard lock(host_copies_mutex());
  try {
    if (host_copies_.empty()) {
      fetch_ = {begin, end, fetch(static_cast<char*>(address_) + begin, end - begin, after)};
    }
  } catch (const std::exception&) {
    // Whoever waits for the work learns of its failure.
  }
}

void* Block::host_address(size_t begin, size_t end) {
  std::lock_guard lock(host_copies_mutex());
  for (auto& copy : host_copies_) {
    if (copy.begin <= begin && end <= copy.end) {
      return static_cast<char*>(copy.buffer.ptr()) - copy.begin;
    }
  }
  auto buffer = allocator::malloc(end - begin);
  try {
    bool fetched = fetch_ && fetch_->begin == begin && fetch_->end == end &&
                   take_fetched(fetch_->bytes, buffer.ptr(), end - begin);
    if (!fetched) {
      copy_to_host(buffer.ptr(), static_cast<char*>(address_) + begin, end - begin,
                   owner_.device.index);
    }
  } catch (...) {
    allocator::free(buffer);
    throw;
  }
  host_copies_.push_back({begin, end, buffer});
  return static_cast<char*>(buffer.ptr()) - begin;
}

void Block::used_on(const Stream& s) {
  if (s == owner_) {
    return;
  }
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  if (std::find(users_.begin(), users_.end(), s) == users_.end()) {
    users_.push_back(s);
  }
}

void Block::drop_host_copies() {
  for (auto& copy : host_copies_) {
    allocator::free(copy.buffer);
  }
  host_copies_.clear();
  fetch_.reset();
}

Block* allocate(size_t bytes, const Stream& s) {
  size_t taken = 0;
  void* address = Pool::instance().take(bytes, s, taken);
  return new Block(address, taken, s);
}

void allocate_output(array& out, const Stream& s) {
  out.set_data(allocator::Buffer(allocate(out.nbytes(), s)));
}

void allocate_output_like(array& out, const array& model, const Stream& s) {
  out.set_data(allocator::Buffer(allocate(out.nbytes(), s)), out.size(), model.strides(),
               model.flags());
}

MemoryPool& device_pool() { return Pool::instance(); }

uint64_t memory_returns() { return returns.load(std::memory_order_relaxed); }

}  // namespace mlx::core::cuda
