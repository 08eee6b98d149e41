// The public memory functions. Counters add host and device memory; limits are those of the default
// device's memory.
#include "mlx/memory.h"

#include <atomic>
#include <unordered_map>

#include "mlx/backend/backend.h"
#include "mlx/core/memory_pool.h"

namespace mlx::core {

namespace {

template <typename F>
void for_each_pool(F&& f) {
  for (auto type : {Device::cpu, Device::gpu}) {
    if (auto* backend = backend_of(type)) {
      f(backend->memory());
    }
  }
}

template <typename F>
size_t sum_over_pools(F&& f) {
  size_t total = 0;
  for_each_pool([&](MemoryPool& pool) { total += f(pool); });
  return total;
}

MemoryPool& default_pool() { return backend_of(default_device().type)->memory(); }

}  // namespace

size_t get_active_memory() {
  return sum_over_pools([](MemoryPool& pool) { return pool.active(); });
}

size_t get_peak_memory() {
  return sum_over_pools([](MemoryPool& pool) { return pool.peak(); });
}

void reset_peak_memory() {
  for_each_pool([](MemoryPool& pool) { pool.reset_peak(); });
}

size_t get_cache_memory() {
  return sum_over_pools([](MemoryPool& pool) { return pool.cached(); });
}

size_t set_memory_limit(size_t limit) { return set_memory_limit(limit, true); }

size_t set_memory_limit(size_t limit, bool relaxed) {
  return default_pool().set_limit(limit, !relaxed);
}

size_t get_memory_limit() { return default_pool().limit(); }

size_t set_cache_limit(size_t limit) { return default_pool().set_cache_limit(limit); }

void clear_cache() {
  for_each_pool([](MemoryPool& pool) { pool.clear_cache(); });
}

size_t set_wired_limit(size_t limit) {
  static std::atomic<size_t> wired{0};
  return wired.exchange(limit);
}

size_t get_array_buffer_size(const std::vector<array>& arrays) {
  std::unordered_map<const array::Data*, size_t> buffers;
  for (auto& a : arrays) {
    if (auto& data = a.data_shared_ptr()) {
      buffers[data.get()] = a.buffer_size();
    }
  }
  size_t total = 0;
  for (auto& [data, bytes] : buffers) {
    total += bytes;
  }
  return total;
}

}  // namespace mlx::core
