// Work of libraries is recorded by stream capture. Its executable graphs are made once for each
// sequence of nodes of a sort and take over new functions and arguments after that, which is far
// cheaper; work that was started with the old ones is not affected.
#include "mlx/backend/cuda/runtime/recorder.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "mlx/backend/cuda/runtime/device.h"

namespace mlx::core::cuda {

namespace {

constexpr size_t fewest_primitives = 4;
// The first graphs of a batch are short, so that the device starts early, and none is so long that
// it waits for the host; where it has work for long enough, each start takes longer than it gains.
constexpr size_t first_graph = 8, longest_graph = 64, longest_behind_work = 128;
// So few kernels are started one by one when they come for the first time.
constexpr size_t few_kernels = 2;
constexpr size_t most_executables = 128;

/** What a node of an executable graph keeps when it is updated: its type, and the clusters of its
 *  blocks. A kernel whose grid is no multiple of somebody else's cluster does not run at all, and
 *  no error tells. */
std::string sort_of(cudaGraphNode_t node) {
  cudaGraphNodeType type;
  check_cuda([&] { return cudaGraphNodeGetType(node, &type); }, "reading a graph");
  std::string sort(1, static_cast<char>('a' + static_cast<int>(type)));
  if (type == cudaGraphNodeTypeKernel) {
    cudaLaunchAttributeValue value{};
    check_cuda(
        [&] {
          return cudaGraphKernelNodeGetAttribute(node, cudaLaunchAttributeClusterDimension, &value);
        },
        "reading a graph");
    auto [x, y, z] = value.clusterDim;
    if (x > 0) {
      sort += std::to_string(x) + ',' + std::to_string(y) + ',' + std::to_string(z);
    }
  }
  return sort;
}

}  // namespace

Recorder::Recorder(int device) : device_(device) {
  check_cuda([&] { return cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking); },
             "making a stream");
}

void Recorder::expect(size_t primitives, bool is_nested) {
  std::lock_guard lock(mutex_);
  if (is_nested) {
    flush();  // what was recorded comes first, however the rest is started
  } else {
    failure_ = nullptr;
  }
  worthwhile_ = primitives >= fewest_primitives;
  in_pieces_ = false;
  before_ = last_mark_ && !last_mark_->was_seen_over() ? last_mark_ : nullptr;
  most_ = before_ && !runs_dry_ ? longest_behind_work : first_graph;
  graphs_ = behind_ = 0;
}

void Recorder::record_before_next(std::shared_ptr<CUevent_st> event) {
  last_mark_ = nullptr;
  submit();
  record_awaited();  // of a step that has queued nothing before this one, which is part of it
  awaited_ = std::move(event);
  worthwhile_ = false;
  in_pieces_ = true;
}

void Recorder::record_awaited() {
  if (awaited_) {
    behind_kernel_ = false;
    check_cuda([&] { return cudaEventRecord(awaited_.get(), stream_); }, "recording an event");
    awaited_ = nullptr;
  }
}

cudaStream_t Recorder::plain() {
  last_mark_ = nullptr;
  submit();
  record_awaited();
  behind_kernel_ = false;
  return stream_;
}

std::shared_ptr<Passing> Recorder::mark() {
  if (!last_mark_) {
    cudaStream_t stream = plain();
    auto made = std::make_shared<Passing>(device_);
    check_cuda([&] { return cudaEventRecord(made->event(), stream); }, "recording an event");
    last_mark_ = std::move(made);
  }
  return last_mark_;
}

void Recorder::flush() noexcept {
  try {
    submit();
  } catch (...) {
    // Kept by submit.
  }
}

cudaStream_t Recorder::begin() {
  last_mark_ = nullptr;
  if (failure_) {
    std::rethrow_exception(failure_);
  }
  if (!worthwhile_) {
    submit();
  }
  record_awaited();
  if (worthwhile_ && !capturing_) {
    begin_capture();
  }
  behind_kernel_ = false;
  return stream_;
}

void Recorder::end() { count_recorded(); }

uint64_t Recorder::launch(const KernelLaunch& launch) {
  last_mark_ = nullptr;
  if (failure_) {
    std::rethrow_exception(failure_);
  }
  record_awaited();
  if (in_pieces_ || capturing_) {
    start_alone(launch);
  } else {
    listed_.add(launch);
  }
  launches_++;
  count_recorded();
  return listed_.empty() ? 0 : launches_;
}

bool Recorder::take_back(uint64_t number) {
  if (number != launches_ || listed_.empty()) {
    return false;
  }
  listed_.drop_last();
  launches_++;  // the number is nobody's any more
  recorded_--;
  return true;
}

void Recorder::call(const LibraryCall& call, QueueCall queue) {
  if (capturing_ && !call.is_certain()) {
    submit();
  }
  // What comes alone is recorded if it comes again: recording costs more than one call does.
  bool records =
      worthwhile_ || (call.is_worth_recording() && replays_.has_room() && calls_.comes_again(call));
  if (!records || capturing_) {
    queue(begin());
    end();
    return;
  }
  last_mark_ = nullptr;
  if (failure_) {
    std::rethrow_exception(failure_);
  }
  record_awaited();
  listed_.add(calls_.find(call, queue));
  launches_++;
  count_recorded();
  if (in_pieces_) {
    submit();
  }
}

/** What was listed comes first in the capture, or before it. */
void Recorder::begin_capture() {
  if (listed_.has_calls()) {
    submit();
  }
  // Relaxed: allocations and library loading may happen meanwhile.
  check_cuda([&] { return cudaStreamBeginCapture(stream_, cudaStreamCaptureModeRelaxed); },
             "recording work");
  try {
    for (size_t i = 0; i < listed_.size(); i++) {
      cuda::start(listed_[i], stream_);
    }
  } catch (...) {  // results of earlier primitives are lost, so the whole batch has failed
    cudaGraph_t graph = nullptr;
    cudaStreamEndCapture(stream_, &graph);
    if (graph) {
      cudaGraphDestroy(graph);
    }
    listed_.clear();
    failure_ = std::current_exception();
    throw;
  }
  capturing_ = true;
  listed_.clear();
}

/** Looks once whether the device still has the work before a batch when the first long graph behind
 *  it would go out. Batches that come again and again find it as the one before them did. */
void Recorder::note_dryness() {
  if (before_ && ++behind_ == longest_behind_work) {
    runs_dry_ = std::exchange(before_, nullptr)->is_over();
  }
}

void Recorder::count_recorded() {
  note_dryness();
  if (!in_pieces_ && ++recorded_ >= most_) {
    submit();
    most_ = std::max(most_, std::min(2 * most_, longest_graph));
  }
}

void Recorder::submit() {
  if (failure_) {
    std::rethrow_exception(failure_);
  }
  recorded_ = 0;
  try {
    if (capturing_) {
      start_captured();
    } else if (!listed_.empty()) {
      start_listed();
    }
  } catch (...) {
    listed_.clear();
    failure_ = std::current_exception();
    throw;
  }
}

void Recorder::start_listed() {
  bool pays = listed_.size() > few_kernels || listed_.has_calls();
  if (pays || replays_.comes_again(listed_, graphs_)) {
    behind_kernel_ = false;
    replays_.start(listed_, graphs_++, stream_);
    return;
  }
  for (size_t i = 0; i < listed_.size(); i++) {
    start_alone(listed_[i]);
  }
  listed_.clear();
}

void Recorder::start_alone(const KernelLaunch& launch) {
  cuda::start(launch, stream_, behind_kernel_ && !capturing_);
  behind_kernel_ = !capturing_;
}

void Recorder::start_captured() {
  capturing_ = false;
  cudaGraph_t made = nullptr;
  cudaError_t code = cudaStreamEndCapture(stream_, &made);  // ends it in any case
  std::unique_ptr<CUgraph_st, cudaError_t (*)(cudaGraph_t)> graph(made, cudaGraphDestroy);
  check_cuda([&] { return code; }, "recording work");
  start(graph.get());
}

void Recorder::start(cudaGraph_t graph) {
  cudaGraphExec_t executable = executable_for(graph);
  behind_kernel_ = false;
  if (executable) {
    check_cuda([&] { return cudaGraphLaunch(executable, stream_); }, "starting work");
  }
}

std::string Recorder::key_of(cudaGraph_t graph) {
  size_t count = 0;
  check_cuda([&] { return cudaGraphGetNodes(graph, nullptr, &count); }, "reading a graph");
  std::vector<cudaGraphNode_t> nodes(count);
  check_cuda([&] { return cudaGraphGetNodes(graph, nodes.data(), &count); }, "reading a graph");
  std::string key;
  for (cudaGraphNode_t node : nodes) {
    key += sort_of(node);
  }
  return key;
}

/** nullptr for an empty graph. */
cudaGraphExec_t Recorder::executable_for(cudaGraph_t graph) {
  std::string key = key_of(graph);
  if (key.empty()) {
    return nullptr;
  }
  auto known = by_key_.find(key);
  if (known != by_key_.end()) {
    executables_.splice(executables_.begin(), executables_, known->second);
    cudaGraphExecUpdateResultInfo info;
    bool fault = faults::strikes(faults::Point::device);
    if (!fault && cudaGraphExecUpdate(known->second->graph, graph, &info) == cudaSuccess) {
      return known->second->graph;
    }
    cudaGetLastError();  // no failure: the edges differ
    drop(known->second);
  }
  cudaGraphExec_t made = nullptr;
  check_cuda([&] { return cudaGraphInstantiate(&made, graph, 0); }, "preparing work");
  executables_.push_front({key, made});
  by_key_[key] = executables_.begin();
  if (executables_.size() > most_executables) {
    drop(std::prev(executables_.end()));
  }
  return made;
}

void Recorder::drop(std::list<Executable>::iterator executable) {
  cudaStreamSynchronize(stream_);  // it may still run
  cudaGraphExecDestroy(executable->graph);
  by_key_.erase(executable->key);
  executables_.erase(executable);
}

}  // namespace mlx::core::cuda
