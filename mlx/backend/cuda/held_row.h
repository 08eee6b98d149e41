// How kernels that read a row once hold it.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "mlx/dtype.h"

namespace mlx::core::cuda {

constexpr int row_threads = 256;

/** A row is spread over the registers of 32 or 256 threads: `packs` times `width` neighbours each;
 *  rows of 0 packs are too long for that. */
struct RowVariant {
  int lanes, width, packs;
};

/** For rows of `length` that start at these addresses and follow each other. */
RowVariant row_variant(Dtype dtype, int64_t length, std::initializer_list<const void*> addresses);

/** As template arguments: "lanes, width, packs". */
std::string to_string(RowVariant variant);

}  // namespace mlx::core::cuda
