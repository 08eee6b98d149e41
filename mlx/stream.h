// Streams: ordered queues of work on a device.
#pragma once

#include <optional>
#include <vector>

#include "mlx/device.h"

namespace mlx::core {

struct Stream {
  int index;
  Device device;

  explicit Stream(int index, Device device) : index(index), device(device) {}

  bool operator==(const Stream& other) const {
    return index == other.index && device == other.device;
  }
  bool operator!=(const Stream& other) const { return !(*this == other); }
  bool operator<(const Stream& rhs) const {
    return device == rhs.device ? index < rhs.index : device < rhs.device;
  }
};

/** Stands for one stream per thread that uses it. */
struct ThreadLocalStream : public Stream {
  using Stream::Stream;
};

/** The calling thread's default stream of `d`, made on first use. Throws if d is not available. */
Stream default_stream(Device d);

/** As default_stream, but makes none. */
std::optional<Stream> peek_default_stream(Device d);

/** Makes `s` the calling thread's default stream of its device. Throws if there is no such stream.
 */
void set_default_stream(Stream s);

Stream new_stream(Device d);

/** A stream that the caller promises to use from one thread only. */
Stream new_thread_unsafe_stream(Device d);

ThreadLocalStream new_thread_local_stream(Device d);

Stream stream_from_thread_local_stream(ThreadLocalStream tls);

std::vector<Stream> get_streams();

/** Waits for all work of the default stream of the default device, or of the given stream. */
void synchronize();
void synchronize(Stream s);
void synchronize(ThreadLocalStream s);

/** Waits for every stream and forgets the calling thread's defaults. */
void clear_streams();

}  // namespace mlx::core
