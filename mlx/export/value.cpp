// Values to and from bytes: one byte says which kind of value follows.
#include "mlx/export/value.h"

namespace mlx::core {

namespace {

/** Lists in lists, beyond which a file is not believed. */
constexpr int most_depth = 16;

struct Writer {
  ByteWriter& to;

  void operator()(bool value) const { to.byte(value); }
  void operator()(int64_t value) const { to.integer(value); }
  void operator()(double value) const { to.word(std::bit_cast<uint64_t>(value)); }
  void operator()(Dtype value) const { to.dtype(value); }
  void operator()(const std::string& value) const { to.text(value); }
  void operator()(const Values& value) const { write_values(to, value); }
};

Values read_list(ByteReader& from, int depth);

Value read_value(ByteReader& from, int depth) {
  switch (from.byte()) {
    case 0: {
      uint8_t value = from.byte();
      ByteReader::expect(value <= 1, "A truth value in the file is ", int{value}, ".");
      return value == 1;
    }
    case 1:
      return from.integer();
    case 2:
      return std::bit_cast<double>(from.word());
    case 3:
      return from.dtype();
    case 4:
      return from.text();
    case 5:
      ByteReader::expect(depth < most_depth, "Lists in the file are nested too deeply.");
      return read_list(from, depth + 1);
    default:
      ByteReader::expect(false, "The file has a parameter of an unknown kind.");
      return false;
  }
}

Values read_list(ByteReader& from, int depth) {
  Values out;
  size_t n = from.count(2);
  for (size_t i = 0; i < n; i++) out.push_back(read_value(from, depth));
  return out;
}

}  // namespace

void write_values(ByteWriter& to, const Values& values) {
  to.number(values.size());
  for (auto& value : values) {
    to.byte(static_cast<uint8_t>(value.index()));
    std::visit(Writer{to}, static_cast<const Value::variant&>(value));
  }
}

Values read_values(ByteReader& from) { return read_list(from, 0); }

}  // namespace mlx::core
