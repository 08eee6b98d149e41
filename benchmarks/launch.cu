// What the driver takes, whatever library calls it, to start one tiny kernel and to learn on the
// host that it is over, by each way there is: below the best of them no evaluation on the GPU gets.
// Microseconds, the best of five means.
//
//   nvcc -std=c++20 -O2 benchmarks/launch.cu -o launch && ./launch
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace {

constexpr int kRounds = 5, kCalls = 2000;

__global__ void touch(float* x) { x[threadIdx.x] += 1; }

__global__ void touch_and_tell(float* x, volatile int* told, int number) {
  x[threadIdx.x] += 1;
  __threadfence_system();
  if (threadIdx.x == 0) *told = number;
}

template <typename F>
void measure(const char* what, F call) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30;
  for (int i = 0, number = 1; i <= kRounds; i++) {  // the first round warms up
    auto start = Clock::now();
    for (int k = 0; k < kCalls; k++) call(number++);
    std::chrono::duration<double, std::micro> time = Clock::now() - start;
    if (i > 0) best = std::min(best, time.count() / kCalls);
  }
  std::printf("%-46s %6.2f\n", what, best);
}

struct Device {
  Device() {
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    cudaMalloc(&x, 32 * sizeof(float));
    cudaHostAlloc(&pinned, sizeof(float), cudaHostAllocPortable);
    cudaHostAlloc(&told, sizeof(int), cudaHostAllocMapped);
    cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed);
    start();
    cudaGraph_t recorded;
    cudaStreamEndCapture(stream, &recorded);
    cudaGraphInstantiate(&graph, recorded, 0);
  }

  void start() { touch<<<1, 32, 0, stream>>>(x); }
  void wait_for_event() {
    cudaEventRecord(event, stream);
    while (cudaEventQuery(event) == cudaErrorNotReady) {
    }
  }

  cudaStream_t stream;
  cudaEvent_t event;
  cudaGraphExec_t graph;  // of the same kernel
  float *x, *pinned;
  int* told;
};

}  // namespace

int main() {
  Device d;
  measure("start, wait for the stream", [&](int) {
    d.start();
    cudaStreamSynchronize(d.stream);
  });
  measure("start, poll an event", [&](int) {
    d.start();
    d.wait_for_event();
  });
  measure("start a graph of it, poll an event", [&](int) {
    cudaGraphLaunch(d.graph, d.stream);
    d.wait_for_event();
  });
  measure("start, poll what the kernel writes to the host", [&](int number) {
    touch_and_tell<<<1, 32, 0, d.stream>>>(d.x, d.told, number);
    while (*static_cast<volatile int*>(d.told) != number) {
    }
  });
  measure("start, copy a number to the host, poll an event", [&](int) {
    d.start();
    cudaMemcpyAsync(d.pinned, d.x, sizeof(float), cudaMemcpyDeviceToHost, d.stream);
    d.wait_for_event();
  });
  cudaError_t code = cudaDeviceSynchronize();
  if (code != cudaSuccess) std::printf("%s\n", cudaGetErrorString(code));
  return code != cudaSuccess;
}
