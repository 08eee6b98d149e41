// Starts of dynamic slices: read on the host, whatever their dtype.
#include "mlx/backend/common/slice.h"

#include <stdexcept>

#include "mlx/core/errors.h"

namespace mlx::core {

int64_t start_of_slice(const char* op, const array& a, const array& start,
                       const std::vector<int>& axes, const Shape& size) {
  int64_t offset = 0;
  for (size_t k = 0; k < axes.size(); k++) {
    int axis = axes[k];
    int64_t room = a.shape()[axis] - size[axis];
    int64_t at = dispatch_dtype(start.dtype(), [&](auto tag) -> int64_t {
      using T = typename decltype(tag)::type;
      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        T value = start.data<T>()[start.strides()[0] * static_cast<int64_t>(k)];
        bool inside = value >= 0 && static_cast<uint64_t>(value) <= static_cast<uint64_t>(room);
        return inside ? static_cast<int64_t>(value) : -1;
      }
      return -1;
    });
    if (at < 0) {
      throw std::out_of_range(error_message(op, "A slice of size ", size, " leaves axis ", axis,
                                            " of an array of shape ", a.shape(),
                                            ": its start is not in [0, ", room, "]."));
    }
    offset += at * a.strides()[axis];
  }
  return offset;
}

}  // namespace mlx::core
