// Unpacking of the tables that GGUF's types of few bits look their values up in.
#include "mlx/io/gguf_tables.h"

#include <vector>

namespace mlx::core::io {

namespace {

int digit(char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }

}  // namespace

array unpacked(const GgufTable& table) {
  std::vector<uint8_t> elements;
  elements.reserve(table.digits.size() * 4 / table.bits);
  for (size_t i = 0; i + 1 < table.digits.size(); i += 2) {
    int byte = digit(table.digits[i]) * 16 + digit(table.digits[i + 1]);
    for (int at = 0; at < 8; at += table.bits) {
      int code = byte >> at & ((1 << table.bits) - 1);
      elements.push_back(table.bits == 8 ? code : table.values[code & 7]);
    }
  }
  int rows = static_cast<int>(elements.size()) / table.width;
  return array(elements.data(), {rows, table.width}, table.bits == 8 ? uint8 : int8);
}

}  // namespace mlx::core::io
