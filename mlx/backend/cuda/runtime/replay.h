// Kernels and calls of libraries that go out together, and the executable graphs by which they do.
// A graph that ran the same kernels before takes over only the arguments that have changed since,
// which costs the driver nothing for the others; and memory that is reused in one order keeps most
// of them equal.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>
#include <vector>

#include "mlx/backend/cuda/runtime/library_calls.h"
#include "mlx/backend/cuda/runtime/remembered.h"

namespace mlx::core::cuda {

/** A kernel with its argument, one struct. */
struct KernelLaunch {
  const void* kernel;
  dim3 grid, block;
  const void* argument;
  size_t bytes;
  size_t shared_bytes = 0;
  unsigned cluster = 0;  // neighbours along x that form a cluster, if not 0
  bool waits = false;    // for the kernel before it, so that it may start while that one runs
};

/** Starts a kernel by itself. `overlapping`: while the kernel that was queued before it still runs,
 * if it waits for that one itself. */
void start(const KernelLaunch& launch, cudaStream_t stream, bool overlapping = false);

/** Whether kernels start while the ones before them run: where all devices can do it, unless
 *  MLX_OVERLAP_KERNELS is 0. */
bool overlaps();

/** Launches in their order, with copies of their arguments. */
class LaunchList {
 public:
  void add(const KernelLaunch& launch);
  void add(const RecordedCall& call);
  /** Takes back the last kernel, once after each `add`. */
  void drop_last();
  void clear();

  size_t size() const { return offsets_.size(); }
  bool empty() const { return offsets_.empty(); }
  KernelLaunch operator[](size_t i) const;

  /** Whether a library's call is in this place, and the work of that. */
  bool is_call(size_t i) const { return kernels_[i].call != 0; }
  cudaGraph_t call(size_t i) const;
  bool has_calls() const { return calls_ > 0; }

  /** Of the kernels and their clusters: what a graph keeps when it is updated. */
  uint64_t hash() const { return hash_; }
  bool has_kernels_of(const LaunchList& other) const { return kernels_ == other.kernels_; }
  /** Of two lists with the same kernels: which launches differ in grid, block or argument. Stops
   *  when they are `most`. */
  std::vector<uint32_t> changes_from(const LaunchList& other, size_t most) const;

 private:
  /** What stands in front of an argument; as bytes, without gaps. */
  struct Head {
    uint32_t grid[3], block[3];
    uint64_t shared_bytes, bytes;
  };
  struct Kind {
    const void* kernel;
    uint32_t cluster, waits;
    uint64_t call;  // what it is, or 0
    bool operator==(const Kind&) const = default;
  };

  void append(const Head& head, const void* argument);
  size_t end_of(size_t i) const { return i + 1 < size() ? offsets_[i + 1] : bytes_.size(); }

  std::vector<Kind> kernels_;
  std::vector<size_t> offsets_;  // of the heads in bytes_
  std::vector<std::byte> bytes_;
  uint64_t hash_ = 0, hash_before_ = 0;  // before the last
  size_t calls_ = 0;
};

/** The executable graphs of one stream. Bounded: those not used for longest go first. */
class Replays {
 public:
  /** Starts the kernels as one graph and leaves the list empty. `place` tells lists of equal
   *  kernels apart, such as those of the layers of a model. */
  void start(LaunchList& list, size_t place, cudaStream_t stream);

  /** Whether a list of few kernels had better start as a graph: it came before, and none that is in
   *  use has to go for it. */
  bool comes_again(const LaunchList& list, size_t place);
  bool has_room() const;

 private:
  struct Executable {
    uint64_t key;
    LaunchList list;  // what it runs
    cudaGraph_t graph;
    std::vector<cudaGraphNode_t> nodes;
    cudaGraphExec_t executable;
    uint64_t last_start = 0;
  };
  using Executables = std::list<Executable>;

  /** One with the same kernels, and which of its launches have to be changed. */
  struct Choice {
    Executables::iterator executable;
    std::vector<uint32_t> changes;
  };

  Choice closest(const LaunchList& list, uint64_t key);
  Executables::iterator make(LaunchList& list, uint64_t key);
  bool update(Executable& executable, LaunchList& list, const std::vector<uint32_t>& changes);
  void drop(Executables::iterator executable, cudaStream_t stream);

  Executables executables_;  // the one used last in front
  std::unordered_multimap<uint64_t, Executables::iterator> by_key_;
  Remembered<uint64_t> came_;  // few kernels that were asked about
  uint64_t starts_ = 0;
};

}  // namespace mlx::core::cuda
