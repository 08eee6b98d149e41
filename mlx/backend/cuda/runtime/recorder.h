// One CUDA stream whose work goes out in graphs: a launch costs the host five times less when it is
// recorded with its neighbours, and the device starts it sooner after the one before. Kernels of
// our own and calls of libraries that are known again are listed and replayed; only among other
// work of libraries are they captured.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <exception>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "mlx/backend/cuda/runtime/passing.h"
#include "mlx/backend/cuda/runtime/replay.h"

namespace mlx::core::cuda {

class Recorder {
 public:
  /** Makes the stream on `device`, which is the calling thread's. */
  explicit Recorder(int device);

  /** Tells how many primitives come next; few are not worth a graph. Earlier failures are theirs no
   *  more, unless they are nested in the work of one that came before. */
  void expect(size_t primitives, bool is_nested);

  /** Held during the calls below, and while their stream is used: an event that another thread
   *  recorded in the middle of a capture would become part of it. */
  std::mutex& mutex() { return mutex_; }

  /** Starts what was recorded, and returns the stream for calls that cannot be. Throws if that, or
   *  anything since `expect`, could not be started: no result since then is to be trusted. */
  cudaStream_t plain();

  /** The place behind all work so far, that of the call before if nothing has come since. Starts
   *  what was recorded; throws as `plain` does. */
  std::shared_ptr<Passing> mark();

  /** Records `event` right before whatever is queued next. What comes is then started piece by
   * piece, to the end of the batch. */
  void record_before_next(std::shared_ptr<CUevent_st> event);

  /** Starts what was recorded. A failure is thrown by the next call that may throw. */
  void flush() noexcept;

  /** Around one piece of a library's work that can be recorded, on the stream that begin returns.
   *  Throw as `plain` does. */
  cudaStream_t begin();
  void end();

  /** A kernel of our own. Returns its number if it can still be taken back, else 0. Throws as
   * `plain` does. */
  uint64_t launch(const KernelLaunch& launch);

  /** Takes a kernel back if nothing has come or been started since; false if it cannot be. */
  bool take_back(uint64_t number);

  /** A library's call that `queue` makes, now or for its recording. Throws as `plain` does. */
  void call(const LibraryCall& call, QueueCall queue);

 private:
  struct Executable {
    std::string key;
    cudaGraphExec_t graph;
  };

  void submit();
  void record_awaited();
  void start_listed();
  void start_alone(const KernelLaunch& launch);
  void start_captured();
  void begin_capture();
  void note_dryness();
  void count_recorded();
  void start(cudaGraph_t graph);
  static std::string key_of(cudaGraph_t graph);
  cudaGraphExec_t executable_for(cudaGraph_t graph);
  void drop(std::list<Executable>::iterator executable);

  std::mutex mutex_;
  int device_;
  cudaStream_t stream_;
  bool worthwhile_ = false, in_pieces_ = false, capturing_ = false;
  bool behind_kernel_ = false;  // what the stream got last is a kernel that was started by itself
  std::exception_ptr failure_;
  std::shared_ptr<Passing> last_mark_;  // null if work has come since
  std::shared_ptr<Passing> before_;     // ends the work before the batch, until it is looked at
  bool runs_dry_ = false;               // that was over too early
  size_t behind_ = 0;                   // recorded while it was not looked at
  std::shared_ptr<CUevent_st> awaited_;
  size_t recorded_ = 0, most_ = 0, graphs_ = 0;
  uint64_t launches_ = 0;
  RecordedCalls calls_;
  LaunchList listed_;
  Replays replays_;
  std::list<Executable> executables_;  // the one used last in front
  std::map<std::string, std::list<Executable>::iterator> by_key_;
};

}  // namespace mlx::core::cuda
