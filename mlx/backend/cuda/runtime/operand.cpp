// Host memory on its way to the device, and buffers that ops take over.
#include "mlx/backend/cuda/runtime/operand.h"

#include <algorithm>
#include <mutex>

#include "mlx/backend/common/layout.h"
#include "mlx/backend/cuda/runtime/staging.h"
#include "mlx/backend/cuda/runtime/streams.h"

namespace mlx::core::cuda {

namespace {

/** Part of a host buffer on the device. */
class HostMirror final : public allocator::DeviceMemory {
 public:
  HostMirror(const char* host, ByteRange range, const Stream& s)
      : range(range), block_(allocate(static_cast<size_t>(range.end - range.begin), s)) {
    try {
      copy_to_device(block_->device_address(), host + range.begin,
                     static_cast<size_t>(range.end - range.begin), s);
    } catch (...) {
      delete block_;
      throw;
    }
  }
  ~HostMirror() override { delete block_; }

  void* device_address() override { return block_->device_address(); }
  size_t bytes() override { return block_->bytes(); }
  void* host_address(size_t begin, size_t end) override { return block_->host_address(begin, end); }
  const void* at(int64_t byte) const {
    return static_cast<const char*>(block_->device_address()) + (byte - range.begin);
  }
  void use_on(const Stream& s) {
    if (s != block_->owner()) {
      order_after(s, block_->owner());
      block_->used_on(s);
    }
  }

  const ByteRange range;

 private:
  Block* block_;
};

const void* mirrored(const array& a, const Stream& s) {
  static auto* mutex = new std::mutex;
  std::lock_guard lock(*mutex);
  auto& data = *a.data_shared_ptr();
  ByteRange wanted = byte_range(a);
  auto* mirror = static_cast<HostMirror*>(data.device_copy.get());
  if (!mirror || !mirror->range.contains(wanted)) {
    if (mirror) {
      wanted = {std::min(wanted.begin, mirror->range.begin),
                std::max(wanted.end, mirror->range.end)};
    }
    const char* host = static_cast<const char*>(data.buffer.raw_ptr());
    data.device_copy = std::make_shared<HostMirror>(host, wanted, s);
    mirror = static_cast<HostMirror*>(data.device_copy.get());
  }
  mirror->use_on(s);
  return mirror->at(a.offset() * static_cast<int64_t>(a.itemsize()));
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

bool is_host_scalar(const array& a) { return a.size() == 1 && !a.buffer().device_memory(); }

bool can_write_over(const array& in, const array& out) {
  return in.is_donatable() && in.buffer().device_memory() && in.itemsize() == out.itemsize() &&
         in.size() == out.size() && in.flags().contiguous && in.data_size() == in.size();
}

void write_over(const array& in, array& out, const Stream& s) {
  auto* block = static_cast<Block*>(in.buffer().device_memory());
  block->drop_host_copies();
  block->used_on(s);
  out.copy_shared_buffer(in);
}

}  // namespace mlx::core::cuda
