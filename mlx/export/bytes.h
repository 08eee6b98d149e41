// Numbers, texts and lists as bytes. The reader believes nothing: whatever does not fit what is
// left of its bytes raises std::runtime_error before anything is allocated for it.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "mlx/array.h"
#include "mlx/io/format.h"

namespace mlx::core {

/** Seven bits per byte, low ones first, the eighth set on all but the last; signed numbers in the
 *  order 0, -1, 1, -2, … */
class ByteWriter {
 public:
  void byte(uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void number(uint64_t value) {
    for (; value >= 0x80; value >>= 7) byte(static_cast<uint8_t>(value | 0x80));
    byte(static_cast<uint8_t>(value));
  }
  void integer(int64_t value) {
    number(static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63));
  }
  /** Eight bytes, low ones first. */
  void word(uint64_t value) {
    for (int i = 0; i < 8; i++) byte(static_cast<uint8_t>(value >> 8 * i));
  }
  void text(std::string_view value) {
    number(value.size());
    bytes_ += value;
  }
  void raw(std::string_view value) { bytes_ += value; }
  void dtype(Dtype value) { text(dtype_name(value)); }
  void shape(const Shape& value) {
    number(value.size());
    for (auto n : value) number(static_cast<uint64_t>(n));
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

  template <typename... Parts>
  static void expect(bool condition, const Parts&... parts) {
    io::check_file(condition, "import_function", parts...);
  }

  size_t left() const { return bytes_.size(); }
  std::string_view raw(uint64_t size) {
    expect(size <= left(), "The file's description ends too early.");
    auto out = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return out;
  }
  uint8_t byte() { return static_cast<uint8_t>(raw(1)[0]); }
  uint64_t number() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      uint64_t part = byte();
      value |= (part & 0x7f) << shift;
      if (part < 0x80) return value;
    }
    expect(false, "A number in the file has more than 64 bits.");
    return 0;
  }
  int64_t integer() {
    uint64_t value = number();
    return static_cast<int64_t>(value >> 1 ^ (0 - (value & 1)));
  }
  uint64_t word() {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value |= uint64_t{byte()} << 8 * i;
    return value;
  }
  /** The size of a list whose elements take at least `bytes_each`. */
  size_t count(size_t bytes_each = 1) {
    uint64_t n = number();
    expect(n <= left() / bytes_each, "A list in the file has ", n, " elements and ", left(),
           " bytes.");
    return n;
  }
  /** A number below `end`. */
  uint32_t index(size_t end) {
    uint64_t n = number();
    expect(n < end, "Index ", n, " is out of range for ", end, " values.");
    return static_cast<uint32_t>(n);
  }
  std::string text() { return std::string(raw(count())); }
  Dtype dtype() {
    std::string name = text();
    try {
      return dtype_from_name(name);
    } catch (const std::invalid_argument&) {
      expect(false, "There is no dtype ", io::shown(name), ".");
      throw;
    }
  }
  Shape shape(size_t itemsize) {
    std::vector<int64_t> extents(count());
    for (auto& n : extents) n = static_cast<int64_t>(number());
    return io::check_extents(extents, itemsize, "import_function", "An array").shape;
  }

 private:
  std::string_view bytes_;
};

}  // namespace mlx::core
