// Recording by capture of a stream on which nothing else ever happens.
#include "mlx/backend/cuda/runtime/library_calls.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <vector>

#include "mlx/backend/cuda/runtime/allocator.h"
#include "mlx/backend/cuda/runtime/device.h"
#include "mlx/core/hash.h"

namespace mlx::core::cuda {

namespace {

constexpr size_t most_calls = 4096;

using OwnedGraph = std::unique_ptr<CUgraph_st, cudaError_t (*)(cudaGraph_t)>;

OwnedGraph end_capture(cudaStream_t stream, cudaError_t& code) {
  cudaGraph_t made = nullptr;
  code = cudaStreamEndCapture(stream, &made);
  return {made, cudaGraphDestroy};
}

/** Whether the work is more than kernels: the driver looks up the allocations of what is copied or
 *  cleared when that is recorded, and does not expect to find others there later. */
bool names_memory(cudaGraph_t graph) {
  size_t count = 0;
  check_cuda([&] { return cudaGraphGetNodes(graph, nullptr, &count); }, "recording work");
  std::vector<cudaGraphNode_t> nodes(count);
  check_cuda([&] { return cudaGraphGetNodes(graph, nodes.data(), &count); }, "recording work");
  return std::any_of(nodes.begin(), nodes.end(), [](cudaGraphNode_t node) {
    cudaGraphNodeType type{};
    check_cuda([&] { return cudaGraphNodeGetType(node, &type); }, "recording work");
    return type != cudaGraphNodeTypeKernel;
  });
}

}  // namespace

uint64_t new_call_number() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

RecordedCall RecordedCalls::find(const LibraryCall& call, QueueCall queue) {
  if (auto known = by_key_.find(call.key()); known != by_key_.end()) {
    if (is_good(*known->second)) {
      entries_.splice(entries_.begin(), entries_, known->second);
      return known->second->call;
    }
    by_key_.erase(known);  // lists may still have it; it goes when it is the oldest
  }
  if (entries_.size() >= most_calls) drop_oldest();
  entries_.push_front({call.key(), {call.what(), new_call_number(), nullptr}, {}});
  try {
    by_key_[call.key()] = entries_.begin();
    record(entries_.front(), queue);
  } catch (...) {
    by_key_.erase(call.key());
    entries_.pop_front();
    throw;
  }
  return entries_.front().call;
}

bool RecordedCalls::comes_again(const LibraryCall& call) {
  return by_key_.contains(call.key()) || asked_about_.comes_again(call.key());
}

bool RecordedCalls::is_good(const Entry& entry) {
  return !entry.returns || *entry.returns == memory_returns();
}

void RecordedCalls::drop_oldest() {
  auto oldest = std::prev(entries_.end());
  cudaGraphDestroy(oldest->call.graph);
  auto known = by_key_.find(oldest->key);
  if (known != by_key_.end() && known->second == oldest) by_key_.erase(known);
  entries_.erase(oldest);
}

void RecordedCalls::record(Entry& entry, QueueCall queue) {
  if (!stream_) {
    check_cuda([&] { return cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking); },
               "making a stream");
  }
  uint64_t returns = memory_returns();
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
  if (names_memory(graph.get())) {
    entry.returns = returns;
    entry.call.what = hash_combine(entry.call.what, returns);
  }
  entry.call.graph = graph.release();
}

}  // namespace mlx::core::cuda
