// The thread pool: coverage of ranges, several callers, errors, nesting and forked children.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "mlx/backend/cpu/runtime/isa.h"
#include "mlx/backend/cpu/runtime/team.h"
#include "mlx/core/cores.h"
#include "mlx/core/denormals.h"
#include "mlx/core/parallel.h"

using namespace mlx::core;
using namespace mlx::core::cpu;

namespace {

/** Whether every index of [0, n) is visited once, in ranges no shorter than the grain. */
bool covers(int64_t n, int64_t grain) {
  std::vector<char> visits(n, 0);
  std::atomic<bool> good{true};
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    if (end - begin < std::min(n, grain) || thread_index() >= num_threads()) {
      good = false;
    }
    for (int64_t i = begin; i < end; i++) {
      visits[i]++;
    }
  });
  for (char count : visits) {
    good = good && count == 1;
  }
  return good;
}

bool callers_at_once(int callers, int loops) {
  std::atomic<bool> good{true};
  std::vector<std::thread> threads;
  for (int t = 0; t < callers; t++) {
    threads.emplace_back([&good, loops] {
      for (int i = 0; i < loops; i++) {
        if (!covers(1000 + i, 7)) {
          good = false;
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  return good;
}

class Parallel : public testing::Test {
 protected:
  void TearDown() override { set_num_threads(before_); }
  int before_ = num_threads();
};

}  // namespace

TEST_F(Parallel, CoversEveryIndexOnce) {
  for (int threads : {1, 2, 3, 8}) {
    set_num_threads(threads);
    EXPECT_EQ(num_threads(), threads);
    for (int64_t n : {0, 1, 2, 7, 100, 1001}) {
      for (int64_t grain : {0, 1, 3, 64, 5000}) {
        EXPECT_TRUE(covers(n, grain)) << n << " " << grain;
      }
    }
  }
}

TEST_F(Parallel, ServesSeveralCallersWhileItsSizeChanges) {
  for (int threads : {2, 4, 1, 3}) {
    set_num_threads(threads);
    EXPECT_TRUE(callers_at_once(4, 200));
  }
}

TEST_F(Parallel, ServesMoreCallersThanItHasPlacesFor) {
  set_num_threads(3);
  EXPECT_TRUE(callers_at_once(70, 20));
}

TEST_F(Parallel, RethrowsInTheCaller) {
  set_num_threads(3);
  for (int i = 0; i < 100; i++) {
    EXPECT_THROW(parallel_for(100, 1,
                              [i](int64_t begin, int64_t end) {
                                if (begin <= i && i < end) throw std::runtime_error("stop");
                              }),
                 std::runtime_error);
  }
  EXPECT_TRUE(covers(100, 1));
}

TEST_F(Parallel, RunsNestedLoopsInline) {
  set_num_threads(4);
  std::atomic<int> total{0};
  parallel_for(8, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      auto outer = std::this_thread::get_id();
      parallel_for(10, 1, [&](int64_t b, int64_t e) {
        EXPECT_EQ(std::this_thread::get_id(), outer);
        total += static_cast<int>(e - b);
      });
    }
  });
  EXPECT_EQ(total, 80);
}

TEST_F(Parallel, TeamsGoThroughStepsTogether) {
  for (int threads : {1, 2, 5}) {
    set_num_threads(threads);
    std::atomic<int> members{0};
    std::atomic<bool> good{true};
    std::vector<int> steps(threads, 0);
    parallel_team(threads, [&](int member, Team& team) {
      members++;
      if (member >= team.size() || team.size() > threads) good = false;
      for (int step = 1; step <= 200; step++) {
        steps[member] = step;
        team.wait();
        for (int other = 0; other < team.size(); other++) {
          if (steps[other] != step) good = false;
        }
        team.wait();
      }
    });
    EXPECT_TRUE(good);
    EXPECT_GE(members, 1);
  }
}

TEST_F(Parallel, TeamsInsideLoopsAreTheCallerAlone) {
  set_num_threads(3);
  std::atomic<int> members{0};
  parallel_for(3, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      parallel_team(3, [&](int, Team& team) {
        EXPECT_EQ(team.size(), 1);
        team.wait();
        members++;
      });
    }
  });
  EXPECT_EQ(members, 3);
}

#if !defined(__SANITIZE_THREAD__)
TEST_F(Parallel, SurvivesFork) {
  set_num_threads(3);
  ASSERT_TRUE(covers(1000, 1));
  pid_t child = fork();
  if (child == 0) {
    alarm(20);
    _exit(covers(1000, 1) && num_threads() == 3 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}
#endif

TEST_F(Parallel, LoopsComputeInTheModeOfTheirCaller) {
  set_num_threads(4);
  volatile float denormal = 1e-40f;
  auto kept = [&] {
    std::atomic<int> count{0};
    parallel_for(256, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) count += denormal * 1.0f != 0.0f;
    });
    return count.load();
  };
  for (int turn = 0; turn < 20; ++turn) {
    {
      Denormals zeros(Denormals::as_zeros);
      EXPECT_EQ(kept(), 0);
      Denormals all(Denormals::kept);
      EXPECT_EQ(kept(), 256);
    }
    EXPECT_EQ(kept(), 256);
  }
}

TEST(Cores, AreThoseOfTheAffinity) {
  cpu_set_t before, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  EXPECT_GE(usable_cores(), 1);
  EXPECT_LE(usable_cores(), CPU_COUNT(&before));
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(usable_cores(), 1);
  sched_setaffinity(0, sizeof(before), &before);
}

TEST(InstructionSet, ExtensionsNeedTheHighestLevel) {
  if (isa() != Isa::v4) {
    EXPECT_FALSE(has_avx512_bf16() || has_avx512_vnni() || has_avx512_fp16());
  }
}
