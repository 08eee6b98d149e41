// Memory of graphs' objects: taken again by size, on whatever thread it was freed.
#include <gtest/gtest.h>

#include <atomic>
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

TEST(ObjectPool, ThreadsHandObjectsOn) {
  constexpr int rounds = 200, objects = 300, sizes = 3;
  auto bytes_of = [](int i) { return size_t{40} << (i % sizes); };
  std::vector<void*> on_the_way(objects);
  std::atomic<int> turn{0}, mixed{0};
  auto wait_for = [&](int t) {
    while (turn.load() != t) std::this_thread::yield();
  };
  std::thread giver([&] {
    for (int round = 0; round < rounds; round++) {
      wait_for(2 * round + 1);
      for (int i = 0; i < objects; i++) {
        auto* found = static_cast<unsigned char*>(on_the_way[i]);
        mixed += found[0] != i % 251 || found[bytes_of(i) - 1] != i % 251;
        object_pool::give(found, bytes_of(i));
      }
      turn++;
    }
  });
  for (int round = 0; round < rounds; round++) {
    wait_for(2 * round);
    for (int i = 0; i < objects; i++) {
      on_the_way[i] = object_pool::take(bytes_of(i));
      std::memset(on_the_way[i], i % 251, bytes_of(i));
    }
    turn++;
  }
  giver.join();
  EXPECT_EQ(mixed, 0);
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
