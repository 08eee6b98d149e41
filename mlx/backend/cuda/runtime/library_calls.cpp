// Recording by capture of a stream on which nothing else ever happens.
#include "mlx/backend/cuda/runtime/library_calls.h"

#include <atomic>
#include <memory>

#include "mlx/backend/cuda/runtime/device.h"

namespace mlx::core::cuda {

namespace {

constexpr size_t most_calls = 4096;

using OwnedGraph = std::unique_ptr<CUgraph_st, cudaError_t (*)(cudaGraph_t)>;

OwnedGraph end_capture(cudaStream_t stream, cudaError_t& code) {
  cudaGraph_t made = nullptr;
  code = cudaStreamEndCapture(stream, &made);
  return {made, cudaGraphDestroy};
}

}  // namespace

uint64_t new_call_number() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

RecordedCall RecordedCalls::find(const LibraryCall& call, QueueCall queue) {
  if (auto known = by_key_.find(call.key()); known != by_key_.end()) {
    entries_.splice(entries_.begin(), entries_, known->second);
    return known->second->call;
  }
  if (entries_.size() >= most_calls) {
    cudaGraphDestroy(entries_.back().call.graph);
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
  entries_.push_front({call.key(), {call.what(), new_call_number(), nullptr}});
  try {
    by_key_[call.key()] = entries_.begin();
    entries_.front().call.graph = record(queue);
  } catch (...) {
    by_key_.erase(call.key());
    entries_.pop_front();
    throw;
  }
  return entries_.front().call;
}

cudaGraph_t RecordedCalls::record(QueueCall queue) {
  if (!stream_) {
    check_cuda([&] { return cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking); },
               "making a stream");
  }
  // Relaxed: allocations and library loading may happen meanwhile.
  check_cuda([&] { return cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed); },
             "recording work");
  cudaError_t code = cudaSuccess;
  try {
    queue(stream_);
  } catch (...) {
    end_capture(stream_, code);
    cudaGetLastError();
    throw;
  }
  OwnedGraph graph = end_capture(stream_, code);
  check_cuda([&] { return code; }, "recording work");
  return graph.release();
}

}  // namespace mlx::core::cuda
