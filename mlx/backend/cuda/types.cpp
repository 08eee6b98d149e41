// Names of types in kernel text.
#include "mlx/backend/cuda/types.h"

namespace mlx::core::cuda {

const char* type_name(Dtype dtype) {
  constexpr const char* names[Dtype::count] = {
      "bool",    "uint8_t", "uint16_t", "uint32_t", "uint64_t", "int8_t",  "int16_t",    "int32_t",
      "int64_t", "Half",    "float",    "double",   "BFloat",   "Complex", "WideComplex"};
  return names[static_cast<int>(dtype.val())];
}

const char* word_name(size_t bytes) {
  switch (bytes) {
    case 1:
      return "uint8_t";
    case 2:
      return "uint16_t";
    case 4:
      return "uint32_t";
    case 8:
      return "uint64_t";
    default:
      return "uint4";
  }
}

}  // namespace mlx::core::cuda
