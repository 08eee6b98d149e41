// Load on the CPU: straight from the source into the output's memory.
#include "mlx/primitives/load.h"

#include <algorithm>

#include "mlx/backend/cpu/registry.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

void reverse_bytes(char* data, int64_t count, int64_t width) {
  parallel_for(count, 1 << 16, [&](int64_t begin, int64_t end) {
    for (char* p = data + begin * width; p < data + end * width; p += width) {
      std::reverse(p, p + width);
    }
  });
}

/** Only 0 and 1 are values of a bool; files may hold other bytes. */
void normalize_bools(char* data, int64_t count) {
  parallel_for(count, 1 << 18, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++) {
      data[i] = data[i] != 0;
    }
  });
}

void eval_load(Load& primitive, const std::vector<array>&, std::vector<array>& outputs) {
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  char* data = out.data<char>();
  primitive.reader().read(data, out.nbytes(), primitive.offset());
  if (out.dtype() == bool_) {
    normalize_bools(data, static_cast<int64_t>(out.size()));
  } else if (primitive.swap_endianness()) {
    // A complex number is two floats or doubles.
    int64_t parts = is_complex_dtype(out.dtype()) ? 2 : 1;
    reverse_bytes(data, static_cast<int64_t>(out.size()) * parts,
                  static_cast<int64_t>(out.itemsize()) / parts);
  }
}

const Register<Load> load(eval_load);

}  // namespace

}  // namespace mlx::core::cpu
