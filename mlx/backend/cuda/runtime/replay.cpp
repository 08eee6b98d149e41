// Chains of kernel nodes, and which of them a list of launches is given to.
#include "mlx/backend/cuda/runtime/replay.h"

#include <cstring>
#include <utility>

#include "mlx/backend/cuda/runtime/device.h"
#include "mlx/core/hash.h"
#include "mlx/utils.h"

namespace mlx::core::cuda {

namespace {

constexpr size_t most_executables = 256;
// Starts of others after which an executable graph may go for one that may be as rare.
constexpr uint64_t long_ago = 4 * most_executables;
// Lists of equal kernels in the same place: arguments may come in turns, as from two models.
constexpr size_t most_alike = 4;

/** How many of them may be kept if so many arguments change even from the closest. Two for a few:
 *  steps take turns where one is queued while the one before it still holds its memory. */
size_t most_alike_for(size_t changes, size_t size) {
  return changes > 2 && changes > size / 2 ? most_alike : changes > size / 8 ? 2 : 1;
}

cudaLaunchAttributeValue cluster_value(unsigned cluster) {
  cudaLaunchAttributeValue value{};
  value.clusterDim = {cluster, 1, 1};
  return value;
}

/** Parameters of a node; the launch has to outlive them. */
class NodeParameters {
 public:
  explicit NodeParameters(const KernelLaunch& launch)
      : argument_(const_cast<void*>(launch.argument)) {
    parameters_.func = const_cast<void*>(launch.kernel);
    parameters_.gridDim = launch.grid;
    parameters_.blockDim = launch.block;
    parameters_.sharedMemBytes = static_cast<unsigned>(launch.shared_bytes);
    parameters_.kernelParams = &argument_;
  }
  NodeParameters(const NodeParameters&) = delete;
  NodeParameters& operator=(const NodeParameters&) = delete;
  const cudaKernelNodeParams* get() const { return &parameters_; }

 private:
  void* argument_;
  cudaKernelNodeParams parameters_{};
};

bool may_overlap(const KernelLaunch& launch) {
  return launch.waits && !launch.cluster && overlaps();
}

/** The edge to a kernel from the one before it. */
cudaGraphEdgeData edge_to(const KernelLaunch& launch) {
  cudaGraphEdgeData edge{};
  if (may_overlap(launch)) {
    edge.from_port = cudaGraphKernelNodePortProgrammatic;
    edge.type = cudaGraphDependencyTypeProgrammatic;
  }
  return edge;
}

cudaGraphNode_t add_node(const LaunchList& list, size_t i, cudaGraph_t graph) {
  cudaGraphNode_t node = nullptr;
  check_cuda(
      [&] {
        return list.is_call(i) ? cudaGraphAddChildGraphNode(&node, graph, nullptr, 0, list.call(i))
                               : cudaGraphAddKernelNode(&node, graph, nullptr, 0,
                                                        NodeParameters(list[i]).get());
      },
      "recording a kernel");
  return node;
}

void add_chain(const LaunchList& list, cudaGraph_t graph, std::vector<cudaGraphNode_t>& nodes) {
  for (size_t i = 0; i < list.size(); i++) {
    KernelLaunch launch = list[i];
    cudaGraphNode_t node = add_node(list, i, graph);
    if (!nodes.empty()) {
      cudaGraphEdgeData edge = list.is_call(i - 1) ? cudaGraphEdgeData{} : edge_to(launch);
      check_cuda([&] { return cudaGraphAddDependencies(graph, &nodes.back(), &node, &edge, 1); },
                 "recording a kernel");
    }
    if (launch.cluster) {
      auto value = cluster_value(launch.cluster);
      check_cuda(
          [&] {
            return cudaGraphKernelNodeSetAttribute(node, cudaLaunchAttributeClusterDimension,
                                                   &value);
          },
          "recording a kernel");
    }
    nodes.push_back(node);
  }
}

/** Gives a node of an executable graph what is in place `i` of the list. */
cudaError_t set_node(const LaunchList& list, size_t i, cudaGraphExec_t graph,
                     cudaGraphNode_t node) {
  return list.is_call(i)
             ? cudaGraphExecChildGraphNodeSetParams(graph, node, list.call(i))
             : cudaGraphExecKernelNodeSetParams(graph, node, NodeParameters(list[i]).get());
}

}  // namespace

bool overlaps() {
  static const bool wanted = [] {
    for (int i = 0; i < count_devices(nullptr); i++) {
      if (device_facts(i).major < 9) return false;
    }
    return env::get_var("MLX_OVERLAP_KERNELS", 1) != 0;
  }();
  return wanted;
}

void start(const KernelLaunch& launch, cudaStream_t stream, bool overlapping) {
  cudaLaunchAttribute attribute{};
  bool overlaps = overlapping && may_overlap(launch);
  if (overlaps) {
    attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute.val.programmaticStreamSerializationAllowed = 1;
  } else {
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val = cluster_value(launch.cluster);
  }
  cudaLaunchConfig_t config{launch.grid, launch.block, launch.shared_bytes,
                            stream,      &attribute,   overlaps || launch.cluster > 0};
  void* arguments[] = {const_cast<void*>(launch.argument)};
  check_cuda([&] { return cudaLaunchKernelExC(&config, launch.kernel, arguments); },
             "starting a kernel");
}

// ------------------------------------------------------------------ lists

void LaunchList::append(const Head& head, const void* argument) {
  constexpr size_t alignment = alignof(Head);
  size_t begin = bytes_.size(), place = begin + sizeof(Head);
  bytes_.resize((place + head.bytes + alignment - 1) / alignment * alignment);
  std::memcpy(bytes_.data() + begin, &head, sizeof(Head));
  std::memcpy(bytes_.data() + place, argument, head.bytes);
  offsets_.push_back(begin);
}

void LaunchList::add(const KernelLaunch& launch) {
  auto [gx, gy, gz] = launch.grid;
  auto [bx, by, bz] = launch.block;
  append({{gx, gy, gz}, {bx, by, bz}, launch.shared_bytes, launch.bytes}, launch.argument);
  kernels_.push_back({launch.kernel, launch.cluster, launch.waits, 0});
  hash_before_ = hash_;
  hash_ = hash_combine(hash_, reinterpret_cast<uintptr_t>(launch.kernel));
  hash_ = hash_combine(hash_, launch.cluster);
}

void LaunchList::add(const RecordedCall& call) {
  append({{}, {}, 0, sizeof(call)}, &call);
  kernels_.push_back({nullptr, 0, 0, call.what});
  hash_ = hash_combine(hash_, call.what);
  calls_++;
}

cudaGraph_t LaunchList::call(size_t i) const {
  RecordedCall call;
  std::memcpy(&call, bytes_.data() + offsets_[i] + sizeof(Head), sizeof(call));
  return call.graph;
}

void LaunchList::drop_last() {
  bytes_.resize(offsets_.back());
  kernels_.pop_back();
  offsets_.pop_back();
  hash_ = hash_before_;
}

void LaunchList::clear() {
  kernels_.clear();
  offsets_.clear();
  bytes_.clear();
  hash_ = 0;
  calls_ = 0;
}

KernelLaunch LaunchList::operator[](size_t i) const {
  Head head;
  const std::byte* place = bytes_.data() + offsets_[i];
  std::memcpy(&head, place, sizeof(Head));
  return {kernels_[i].kernel,
          dim3(head.grid[0], head.grid[1], head.grid[2]),
          dim3(head.block[0], head.block[1], head.block[2]),
          place + sizeof(Head),
          head.bytes,
          head.shared_bytes,
          kernels_[i].cluster,
          kernels_[i].waits != 0};
}

std::vector<uint32_t> LaunchList::changes_from(const LaunchList& other, size_t most) const {
  std::vector<uint32_t> changes;
  bool same_places = offsets_ == other.offsets_ && bytes_.size() == other.bytes_.size();
  if (same_places && std::memcmp(bytes_.data(), other.bytes_.data(), bytes_.size()) == 0) {
    return changes;
  }
  for (size_t i = 0; i < size() && changes.size() < most; i++) {
    size_t length = end_of(i) - offsets_[i];
    bool same = length == other.end_of(i) - other.offsets_[i] &&
                std::memcmp(bytes_.data() + offsets_[i], other.bytes_.data() + other.offsets_[i],
                            length) == 0;
    if (!same) changes.push_back(static_cast<uint32_t>(i));
  }
  return changes;
}

// ------------------------------------------------------------------ graphs

void Replays::start(LaunchList& list, size_t place, cudaStream_t stream) {
  uint64_t key = hash_combine(list.hash(), place);
  auto [chosen, changes] = closest(list, key);
  if (chosen != executables_.end() && !update(*chosen, list, changes)) {
    drop(chosen, stream);
    chosen = executables_.end();
  }
  if (chosen == executables_.end()) {
    chosen = make(list, key);
    if (executables_.size() > most_executables) {
      drop(std::prev(executables_.end()), stream);
    }
  }
  list.clear();
  chosen->last_start = ++starts_;
  cudaGraphExec_t executable = chosen->executable;
  check_cuda([&] { return cudaGraphLaunch(executable, stream); }, "starting work");
}

bool Replays::comes_again(const LaunchList& list, size_t place) {
  uint64_t key = hash_combine(list.hash(), place);
  return by_key_.contains(key) || (came_.comes_again(key) && has_room());
}

bool Replays::has_room() const {
  return executables_.size() < most_executables ||
         starts_ - executables_.back().last_start > long_ago;
}

/** Of those with the same kernels, the one that least has to be changed in; none if it pays to make
 *  another. */
Replays::Choice Replays::closest(const LaunchList& list, uint64_t key) {
  Choice best{executables_.end(), {}};
  size_t fewest = list.size() + 1, alike = 0;
  for (auto [it, end] = by_key_.equal_range(key); it != end && fewest > 0; ++it) {
    if (!it->second->list.has_kernels_of(list)) continue;
    alike++;
    auto changes = list.changes_from(it->second->list, fewest);
    if (changes.size() < fewest) {
      fewest = changes.size();
      best = {it->second, std::move(changes)};
    }
  }
  if (alike < most_alike_for(fewest, list.size())) {
    return {executables_.end(), {}};
  }
  executables_.splice(executables_.begin(), executables_, best.executable);
  return best;
}

Replays::Executables::iterator Replays::make(LaunchList& list, uint64_t key) {
  Executable made{key, {}, nullptr, {}, nullptr};
  check_cuda([&] { return cudaGraphCreate(&made.graph, 0); }, "recording work");
  try {
    add_chain(list, made.graph, made.nodes);
    check_cuda([&] { return cudaGraphInstantiate(&made.executable, made.graph, 0); },
               "preparing work");
  } catch (...) {
    cudaGraphDestroy(made.graph);
    throw;
  }
  std::swap(made.list, list);
  executables_.push_front(std::move(made));
  by_key_.emplace(key, executables_.begin());
  return executables_.begin();
}

/** False if it cannot take over a change: then it is of no use any more. */
bool Replays::update(Executable& executable, LaunchList& list,
                     const std::vector<uint32_t>& changes) {
  for (uint32_t i : changes) {
    bool fault = faults::strikes(faults::Point::device);
    if (fault || set_node(list, i, executable.executable, executable.nodes[i]) != cudaSuccess) {
      cudaGetLastError();
      return false;
    }
  }
  std::swap(executable.list, list);
  return true;
}

void Replays::drop(Executables::iterator executable, cudaStream_t stream) {
  cudaStreamSynchronize(stream);  // it may still run
  cudaGraphExecDestroy(executable->executable);
  cudaGraphDestroy(executable->graph);
  for (auto [it, end] = by_key_.equal_range(executable->key); it != end; ++it) {
    if (it->second == executable) {
      by_key_.erase(it);
      break;
    }
  }
  executables_.erase(executable);
}

}  // namespace mlx::core::cuda
