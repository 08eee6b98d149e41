// What starting and joining the pool of threads costs: the time of a parallel_for whose body does
// nothing, called again and again, after a pause in which the workers fall asleep, and with bodies
// of a known length, by number of threads.
//
//   c++ -std=c++20 -O2 -I. benchmarks/parallel.cpp -Lbuild -lmlx -Wl,-rpath,build -o parallel
//   ./parallel [threads...]
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "mlx/core/parallel.h"

namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

double now() { return Microseconds(Clock::now().time_since_epoch()).count(); }

void work_for(double microseconds) {
  if (microseconds == 0) return;
  for (double end = now() + microseconds; now() < end;) {
  }
}

struct Times {
  double middle, late;  // the median, and what nine in ten calls stay below
};

// Of a loop with one range of the given length for each thread.
Times time_loops(int calls, double length, std::chrono::milliseconds pause) {
  int threads = mlx::core::num_threads();
  std::vector<double> times;
  for (int i = -calls / 10; i < calls; i++) {
    if (pause.count() > 0) std::this_thread::sleep_for(pause);
    double start = now();
    mlx::core::parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
      work_for(length * static_cast<double>(end - begin));
    });
    if (i >= 0) times.push_back(now() - start);
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times[times.size() * 9 / 10]};
}

void report(int threads) {
  using std::chrono::milliseconds;
  mlx::core::set_num_threads(threads);
  Times empty = time_loops(20000, 0, milliseconds(0));
  Times asleep = time_loops(200, 0, milliseconds(2));
  Times short_ones = time_loops(5000, 5, milliseconds(0));
  Times long_ones = time_loops(500, 100, milliseconds(0));
  std::printf("%7d %10.2f %7.2f %10.2f %7.2f %10.2f %7.2f %10.2f %7.2f\n", threads, empty.middle,
              empty.late, asleep.middle, asleep.late, short_ones.middle, short_ones.late,
              long_ones.middle, long_ones.late);
}

}  // namespace

int main(int argc, char** argv) {
  std::printf("microseconds a call: half of the calls and nine in ten of them take at most\n");
  std::printf("%7s %18s %18s %18s %18s\n", "threads", "empty", "asleep before", "5 us a thread",
              "100 us a thread");
  std::vector<int> threads;
  for (int i = 1; i < argc; i++) threads.push_back(std::atoi(argv[i]));
  if (threads.empty()) {
    int all = mlx::core::num_threads();
    for (int n = 1; n < all; n *= 2) threads.push_back(n);
    threads.insert(threads.end(), {all, 2 * all});
  }
  for (int n : threads) report(n);
}
