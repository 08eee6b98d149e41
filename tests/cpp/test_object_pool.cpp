// Memory of graphs' objects: taken again by size, on whatever thread it was freed.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "mlx/core/object_pool.h"

using namespace mlx::core;

namespace {

TEST(ObjectPool, GivesMemoryOfEachSize) {
  for (size_t bytes : {1, 31, 32, 33, 500, 1024, 1025, 100000}) {
    std::vector<void*> taken;
    for (int i = 0; i < 20; i++) {
      taken.push_back(object_pool::take(bytes));
      std::memset(taken.back(), i, bytes);
    }
    for (int i = 0; i < 20; i++) {  // none lies in another
      EXPECT_EQ(static_cast<char*>(taken[i])[0], i);
      EXPECT_EQ(static_cast<char*>(taken[i])[bytes - 1], i);
      object_pool::give(taken[i], bytes);
    }
  }
}

TEST(ObjectPool, TakesWhatOtherThreadsTook) {
  std::vector<void*> taken;
  for (int i = 0; i < 100; i++) taken.push_back(object_pool::take(64));
  std::thread other([&] {
    for (void* memory : taken) object_pool::give(memory, 64);
    for (void*& memory : taken) memory = object_pool::take(64);
  });
  other.join();  // which frees what it kept
  for (void* memory : taken) {
    std::memset(memory, 1, 64);
    object_pool::give(memory, 64);
  }
}

TEST(ObjectPool, SharedPointersDestroyTheirObjects) {
  struct Counted {
    explicit Counted(int& alive) : alive(alive) { alive++; }
    ~Counted() { alive--; }
    int& alive;
  };
  int alive = 0;
  {
    auto first = make_pooled<Counted>(alive);
    auto second = first;
    EXPECT_EQ(alive, 1);
  }
  EXPECT_EQ(alive, 0);
}

}  // namespace
