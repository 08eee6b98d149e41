// What the machine's memory allows: the rates at which plain loops, over as many threads as are
// asked for, read, write, copy and add arrays far larger than the caches.
//
//   c++ -std=c++20 -O3 -mavx2 -pthread benchmarks/memory.cpp -o memory && ./memory [threads] [MiB]
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace {

constexpr size_t kLanes = 8;

struct Range {
  size_t begin, end;
};

struct Arrays {
  explicit Arrays(size_t n) : x(make(n)), y(make(n)), z(make(n)) {}

  static std::unique_ptr<float, decltype(&std::free)> make(size_t n) {
    return {static_cast<float*>(std::aligned_alloc(64, n * sizeof(float))), &std::free};
  }

  std::unique_ptr<float, decltype(&std::free)> x, y, z;
};

void fill(Arrays& a, Range r) {
  for (size_t i = r.begin; i < r.end; i += kLanes) {
    _mm256_stream_ps(a.z.get() + i, _mm256_set1_ps(1));
  }
}

void read(Arrays& a, Range r) {
  __m256 sum[4] = {};
  for (size_t i = r.begin; i < r.end; i += 4 * kLanes) {
    for (size_t k = 0; k < 4; k++) {
      sum[k] = _mm256_add_ps(sum[k], _mm256_load_ps(a.x.get() + i + k * kLanes));
    }
  }
  _mm256_store_ps(a.z.get() + r.begin, sum[0] + sum[1] + sum[2] + sum[3]);
}

void copy(Arrays& a, Range r) {
  for (size_t i = r.begin; i < r.end; i += kLanes) {
    _mm256_stream_ps(a.z.get() + i, _mm256_load_ps(a.x.get() + i));
  }
}

void add(Arrays& a, Range r) {
  for (size_t i = r.begin; i < r.end; i += kLanes) {
    _mm256_stream_ps(a.z.get() + i, _mm256_load_ps(a.x.get() + i) + _mm256_load_ps(a.y.get() + i));
  }
}

/** Runs `work` over equal parts of n elements in `threads` threads. */
void in_threads(size_t threads, size_t n, const std::function<void(Range)>& work) {
  std::vector<std::thread> all;
  size_t part = n / threads / 64 * 64;
  for (size_t t = 0; t < threads; t++) {
    all.emplace_back(work, Range{t * part, (t + 1) * part});
  }
  for (auto& thread : all) {
    thread.join();
  }
}

/** Seconds of the fastest of some runs. */
double best_of(size_t runs, const std::function<void()>& run) {
  double best = 1e30;
  for (size_t i = 0; i < runs; i++) {
    auto start = std::chrono::steady_clock::now();
    run();
    std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    best = std::min(best, spent.count());
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  size_t threads = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 0;
  threads = threads > 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
  size_t mebibytes = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 256;
  size_t n = std::max<size_t>(mebibytes, 1) << 18;
  Arrays a(n);
  in_threads(threads, n, [&](Range r) {
    std::fill(a.x.get() + r.begin, a.x.get() + r.end, 1.0F);
    std::fill(a.y.get() + r.begin, a.y.get() + r.end, 2.0F);
    std::fill(a.z.get() + r.begin, a.z.get() + r.end, 0.0F);
  });
  struct Row {
    const char* name;
    void (*work)(Arrays&, Range);
    double arrays;
  };
  for (Row row : {Row{"write", fill, 1}, {"read", read, 1}, {"copy", copy, 2}, {"add", add, 3}}) {
    double seconds = best_of(10, [&] { in_threads(threads, n, [&](Range r) { row.work(a, r); }); });
    double bytes = row.arrays * static_cast<double>(n * sizeof(float));
    std::printf("%-6s %7.1f GB/s\n", row.name, bytes / seconds / 1e9);
  }
}
