// Calls of libraries that do the same whenever they are given the same. The work of one is recorded
// by stream capture once, and takes its place among the kernels of a graph from then on: steps that
// are repeated call no library.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_map>

#include "mlx/backend/cuda/runtime/remembered.h"
#include "mlx/core/function_ref.h"

namespace mlx::core::cuda {

/** What a call does, and with what: calls that are equal in both are the same. */
class LibraryCall {
 public:
  /** `what` is a number of `new_call_number`; its calls differ in arguments alone. */
  explicit LibraryCall(uint64_t what) : what_(what) { add(what); }

  template <typename T>
  LibraryCall& add(const T& argument) {
    static_assert(std::is_arithmetic_v<T> || std::is_pointer_v<T>, "has gaps, perhaps");
    key_.append(reinterpret_cast<const char*>(&argument), sizeof(argument));
    return *this;
  }

  /** Says that recording it may fail, so that nothing else is recorded with it. */
  LibraryCall& may_fail() {
    may_fail_ = true;
    return *this;
  }
  /** Says that the library takes longer to queue it than the driver takes to start a graph. */
  LibraryCall& takes_long() {
    takes_long_ = true;
    return *this;
  }

  uint64_t what() const { return what_; }
  const std::string& key() const { return key_; }
  bool is_certain() const { return !may_fail_; }
  bool is_worth_recording() const { return takes_long_; }

 private:
  uint64_t what_;
  bool may_fail_ = false, takes_long_ = false;
  std::string key_;
};

uint64_t new_call_number();

/** The work of a call; a number of its own tells it from all others. What copies or clears memory
 * is bound to the allocations that it was recorded with: `what` differs once memory has gone back.
 */
struct RecordedCall {
  uint64_t what, number;
  cudaGraph_t graph;
};

/** Makes calls on a stream. */
using QueueCall = FunctionRef<void(cudaStream_t)>;

/** The calls that one stream's work has made. Bounded: those not made for longest go first. */
class RecordedCalls {
 public:
  /** The work of a call, which `queue` queues if it is not known. It lasts for longer than any list
   *  of launches is. Throws what `queue` does. */
  RecordedCall find(const LibraryCall& call, QueueCall queue);

  /** Whether it was recorded or asked about before. */
  bool comes_again(const LibraryCall& call);

 private:
  struct Entry {
    std::string key;
    RecordedCall call;
    std::optional<uint64_t> returns;  // of memory when it was recorded, where that matters
  };

  static bool is_good(const Entry& entry);
  void drop_oldest();
  void record(Entry& entry, QueueCall queue);

  cudaStream_t stream_ = nullptr;  // for recording alone
  std::list<Entry> entries_;       // the one made last in front
  std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
  Remembered<std::string> asked_about_;
};

}  // namespace mlx::core::cuda
