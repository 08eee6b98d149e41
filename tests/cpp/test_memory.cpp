// The allocator: counters, the cache, limits that raise and leave everything usable.
#include <gtest/gtest.h>

#include "mlx/core/errors.h"
#include "mlx/mlx.h"

using namespace mlx::core;

namespace {
constexpr size_t megabyte = size_t{1} << 20;
}

TEST(Memory, CountsWhatArraysHold) {
  clear_cache();
  size_t before = get_active_memory();
  {
    array a = ones({1024, 1024}) * array(3.0f);
    eval(a);
    EXPECT_GE(get_active_memory() - before, 4 * megabyte);
  }
  EXPECT_LT(get_active_memory() - before, megabyte);
  EXPECT_GE(get_cache_memory(), 4 * megabyte);
  clear_cache();
  EXPECT_EQ(get_cache_memory(), 0u);
}

TEST(Memory, ReusesWhatWasFreed) {
  clear_cache();
  void* first = allocator::malloc(8 * megabyte).raw_ptr();
  allocator::free(allocator::Buffer(first));
  auto second = allocator::malloc(8 * megabyte);
  EXPECT_EQ(first, second.raw_ptr());
  allocator::free(second);
}

TEST(Memory, BlocksAreAligned) {
  for (size_t size : {size_t{0}, size_t{1}, size_t{100}, size_t{5000}, 3 * megabyte}) {
    auto buffer = allocator::malloc(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.raw_ptr()) % 64, 0u);
    EXPECT_GE(allocator::allocated_size(buffer), size);
    allocator::free(buffer);
  }
}

TEST(Memory, TheLimitRaisesAndTheProcessLives) {
  size_t old = set_memory_limit(get_active_memory() + 16 * megabyte, false);
  array too_large = ones({64, 1024, 1024}) * array(2.0f);
  EXPECT_THROW(eval(too_large), OutOfMemory);
  array fits = ones({1024}) * array(2.0f);
  EXPECT_EQ(sum(fits).item<float>(), 2048.0f);
  set_memory_limit(old);
  EXPECT_THROW(allocator::malloc(SIZE_MAX), OutOfMemory);
}

TEST(Memory, TheCacheLimitHolds) {
  size_t old = set_cache_limit(megabyte);
  allocator::free(allocator::malloc(4 * megabyte));
  EXPECT_LE(get_cache_memory(), megabyte);
  set_cache_limit(old);
}
