// Rings of pinned chunks. The driver's own staging of pageable memory waits for the stream first,
// which would hold up a training loop at every new batch.
#include "mlx/backend/cuda/runtime/staging.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>

#include "mlx/backend/cuda/runtime/owned.h"
#include "mlx/backend/cuda/runtime/streams.h"

namespace mlx::core::cuda {

namespace {

constexpr size_t chunk_bytes = size_t{512} << 10;
constexpr size_t granule = 64;

struct Chunk {
  PinnedMemory memory = make_pinned_memory(chunk_bytes, cudaHostAllocPortable);
  OwnedEvent passed =
      make_owned_event(cudaEventDisableTiming);  // the last copy from or to it is done

  char* at(size_t offset) const { return static_cast<char*>(memory.get()) + offset; }
  void record(cudaStream_t stream) {
    check_cuda([&] { return cudaEventRecord(passed.get(), stream); }, "copying");
  }
};

/** Chunks that one stream fills in turn; small transfers share one. */
class Uploads {
 public:
  void copy(char* device, const char* host, size_t bytes, cudaStream_t stream) {
    while (bytes > 0) {
      if (used_ == chunk_bytes) {
        chunks_[current_].record(stream);
        current_ = (current_ + 1) % std::size(chunks_);
        wait_event(chunks_[current_].passed.get());
        used_ = 0;
      }
      size_t part = std::min(bytes, chunk_bytes - used_);
      char* staged = chunks_[current_].at(used_);
      std::memcpy(staged, host, part);
      check_cuda(
          [&] { return cudaMemcpyAsync(device, staged, part, cudaMemcpyHostToDevice, stream); },
          "copying to the device");
      used_ += std::min((part + granule - 1) / granule * granule, chunk_bytes - used_);
      device += part, host += part, bytes -= part;
    }
  }

 private:
  Chunk chunks_[4];
  size_t current_ = 0, used_ = 0;
};

/** Two chunks of one device: while one is filled the other is emptied. */
class Downloads {
 public:
  Downloads() {
    check_cuda([&] { return cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking); },
               "making a stream");
  }

  void copy(char* host, const char* device, size_t bytes) {
    start(0, device, std::min(bytes, chunk_bytes));
    for (size_t k = 0, done = 0; done < bytes; k++) {
      size_t part = std::min(bytes - done, chunk_bytes), next = done + part;
      start(k + 1, device + next, std::min(bytes - next, chunk_bytes));
      wait_event(chunks_[k % 2].passed.get());
      std::memcpy(host + done, chunks_[k % 2].at(0), part);
      done = next;
    }
  }

 private:
  void start(size_t k, const char* from, size_t bytes) {
    if (bytes > 0) {
      check_cuda(
          [&] {
            return cudaMemcpyAsync(chunks_[k % 2].at(0), from, bytes, cudaMemcpyDeviceToHost,
                                   stream_);
          },
          "copying to the host");
      chunks_[k % 2].record(stream_);
    }
  }

  Chunk chunks_[2];
  cudaStream_t stream_;
};

/** Places for few bytes, which transfers of all streams take in turn. */
class Arrivals {
 public:
  static Arrivals& instance() {
    static auto* arrivals = new Arrivals;
    return *arrivals;
  }

  FewBytes fetch(const void* device, size_t bytes, const Stream& s) {
    Recorder& recorder = recorder_of(s);
    std::lock_guard lock(mutex_);
    std::lock_guard work(recorder.mutex());
    auto& last = places_[next_ % places];
    if (last) wait_event(last->event());  // the place is written no more
    cudaStream_t stream = recorder.plain();
    check_cuda(
        [&] {
          return cudaMemcpyAsync(place(next_), device, bytes, cudaMemcpyDeviceToHost, stream);
        },
        "copying to the host");
    last = recorder.mark();
    return {last, next_++};
  }

  bool take(const FewBytes& fetched, void* host, size_t bytes) {
    wait_event(fetched.arrival->event());
    std::lock_guard lock(mutex_);
    if (fetched.number + places < next_) {
      return false;
    }
    std::memcpy(host, place(fetched.number), bytes);
    return true;
  }

 private:
  static constexpr size_t places = 256;

  Arrivals() {
    void* made = nullptr;
    check_cuda([&] { return cudaHostAlloc(&made, places * granule, cudaHostAllocPortable); },
               "allocating pinned memory");
    memory_ = static_cast<char*>(made);
  }

  char* place(uint64_t number) { return memory_ + number % places * granule; }

  std::mutex mutex_;
  char* memory_;
  uint64_t next_ = 0;
  std::shared_ptr<Passing> places_[places];
};

/** The entry of `key` in a map that outlives main's statics, made at its first use. */
template <typename Transfers, typename Key>
Transfers& transfers_of(const Key& key) {
  static auto* all = new std::map<Key, std::unique_ptr<Transfers>>;
  auto& entry = (*all)[key];
  if (!entry) {
    entry = std::make_unique<Transfers>();
  }
  return *entry;
}

}  // namespace

void copy_to_device(void* device, const void* host, size_t bytes, const Stream& s) {
  static auto* mutex = new std::mutex;
  std::lock_guard lock(*mutex);
  use_device(s.device.index);
  auto& uploads = transfers_of<Uploads>(s);
  call_directly(s, [&](cudaStream_t stream) {
    uploads.copy(static_cast<char*>(device), static_cast<const char*>(host), bytes, stream);
  });
}

FewBytes fetch(const void* device, size_t bytes, const Stream& s) {
  return Arrivals::instance().fetch(device, bytes, s);
}

bool take_fetched(const FewBytes& fetched, void* host, size_t bytes) {
  return Arrivals::instance().take(fetched, host, bytes);
}

void copy_to_host(void* host, const void* device, size_t bytes, int device_index) {
  static auto* mutex = new std::mutex;
  std::lock_guard lock(*mutex);
  use_device(device_index);
  transfers_of<Downloads>(device_index)
      .copy(static_cast<char*>(host), static_cast<const char*>(device), bytes);
}

}  // namespace mlx::core::cuda
