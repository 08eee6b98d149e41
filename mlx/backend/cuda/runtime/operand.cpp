// Host memory on its way to the device, and buffers that ops take over.
#include "mlx/backend/cuda/runtime/operand.h"

#include <algorithm>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>

#include "mlx/backend/cuda/runtime/staging.h"
#include "mlx/backend/cuda/runtime/streams.h"
#include "mlx/core/layout.h"

namespace mlx::core::cuda {

namespace {

/** A part of a host buffer, on the device. */
class HostMirror {
 public:
  HostMirror(const char* host, ByteRange range, const Stream& s)
      : range_(range), block_(allocate(static_cast<size_t>(range.size()), s)) {
    copy_to_device(block_->device_address(), host + range.begin, static_cast<size_t>(range.size()),
                   s);
  }

  const ByteRange& range() const { return range_; }

  /** Where a byte of the host buffer is, for work on `s`. */
  const void* at(int64_t byte, const Stream& s) const {
    if (s != block_->owner()) {
      order_after(s, block_->owner());
      block_->used_on(s);
    }
    return static_cast<const char*>(block_->device_address()) + (byte - range_.begin);
  }

 private:
  ByteRange range_;
  std::unique_ptr<Block> block_;
};

/** What the device has of one host buffer. Nothing goes before the buffer does, since a kernel that
 *  is being put together may already have its address. */
class HostMirrors {
 public:
  const HostMirror& containing(ByteRange wanted, const char* host, const Stream& s) {
    // Offsets from here on keep the alignment that elements have in the host buffer.
    wanted.begin -= wanted.begin % alignment;
    for (auto& part : parts_) {
      if (part.range().contains(wanted)) {
        return part;
      }
    }
    span_ = {std::min(span_.begin, wanted.begin), std::max(span_.end, wanted.end)};
    copied_ += wanted.size();
    if (copied_ > span_.size()) {  // parts that overlap: from now on all is there
      wanted = span_;
    }
    return parts_.emplace_back(host, wanted, s);
  }

 private:
  static constexpr int64_t alignment = 64;

  std::list<HostMirror> parts_;
  ByteRange span_{INT64_MAX, 0};
  int64_t copied_ = 0;
};

const void* mirrored(const array& a, const Stream& s) {
  static auto* mutex = new std::mutex;
  std::lock_guard lock(*mutex);
  auto& data = *a.data_shared_ptr();
  if (!data.device_copy) {
    data.device_copy = std::make_shared<HostMirrors>();
  }
  const char* host = static_cast<const char*>(data.buffer.raw_ptr());
  return static_cast<HostMirrors*>(data.device_copy.get())
      ->containing(byte_range(a), host, s)
      .at(a.offset() * static_cast<int64_t>(a.itemsize()), s);
}

}  // namespace

const void* input_address(const array& a, const Stream& s) {
  if (a.size() == 0) {
    return nullptr;
  }
  auto buffer = a.buffer();
  auto* memory = buffer.device_memory();
  if (!memory) {
    return mirrored(a, s);
  }
  static_cast<Block*>(memory)->used_on(s);
  return static_cast<const char*>(memory->device_address()) +
         a.offset() * static_cast<int64_t>(a.itemsize());
}

void* output_address(array& a) {
  return static_cast<char*>(a.buffer().device_memory()->device_address()) +
         a.offset() * static_cast<int64_t>(a.itemsize());
}

bool is_host_scalar(const array& a) {
  return a.size() == 1 && a.itemsize() <= sizeof(uint64_t) && !a.buffer().device_memory();
}

bool write_over(const array& in, array& out, const Stream& s) {
  if (!can_donate(in, out) || !in.buffer().device_memory()) {
    return false;
  }
  auto* block = static_cast<Block*>(in.buffer().device_memory());
  block->drop_host_copies();
  block->used_on(s);
  donate(in, out);
  return true;
}

}  // namespace mlx::core::cuda
