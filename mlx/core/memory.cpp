// Memory questions that need arrays.
#include "mlx/memory.h"

#include <unordered_map>

namespace mlx::core {

size_t get_array_buffer_size(const std::vector<array>& arrays) {
  std::unordered_map<const void*, size_t> buffers;
  for (auto& a : arrays) {
    if (auto& data = a.data_shared_ptr()) {
      buffers[data->buffer.raw_ptr()] = a.buffer_size();
    }
  }
  size_t total = 0;
  for (auto& [address, bytes] : buffers) {
    total += bytes;
  }
  return total;
}

}  // namespace mlx::core
