// The tables in which some types of GGUF files look their values up. They are taken from the Python
// package gguf when the library is built, and are not there if that was not.
#pragma once

#include <cstdint>
#include <string_view>

#include "mlx/array.h"

namespace mlx::core::io {

struct GgufTable {
  std::string_view name;
  int width;                // of a row
  int bits;                 // of an element
  int8_t values[8];         // that elements of less than eight bits stand for
  std::string_view digits;  // hexadecimal; the first element of a byte is the lowest
};

/** The table of that name, or nullptr. */
const GgufTable* gguf_table(std::string_view name);

/** Its rows: int8 [rows, width], uint8 for elements of eight bits. */
array unpacked(const GgufTable& table);

}  // namespace mlx::core::io
