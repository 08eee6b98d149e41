// The header of a .npy file: a Python dict literal that names dtype, order and shape.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mlx/dtype.h"

namespace mlx::core::io {

struct NpyHeader {
  /** `<f4`: byte order, kind, bytes per element. */
  std::string descr;
  bool fortran_order = false;
  std::vector<int64_t> shape;
};

/** Reads the dict. Throws std::runtime_error, which names `label`, for anything else. */
NpyHeader parse_npy_header(std::string_view text, const std::string& label);

/** The dict in NumPy's spelling, without padding. */
std::string format_npy_header(const NpyHeader& header);

/** `<f4` for float32 and so on; bfloat16, which NumPy does not have, is `<V2`. */
std::string descr_from_dtype(Dtype dtype);

/** The dtype, and whether the bytes are in the other order. Throws std::invalid_argument. */
struct NpyDtype {
  Dtype dtype;
  bool swapped;
};
NpyDtype dtype_from_descr(const std::string& descr);

}  // namespace mlx::core::io
