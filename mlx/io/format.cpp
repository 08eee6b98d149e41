// The checks that every format makes of what a file claims.
#include "mlx/io/format.h"

#include <limits>

#include "mlx/ops.h"
#include "mlx/transforms.h"

namespace mlx::core::io {

StoredLayout check_extents(const std::vector<int64_t>& extents, size_t itemsize, const char* op,
                           const std::string& what) {
  constexpr size_t max_axes = 64;
  check_file(extents.size() <= max_axes, op, what, " has ", extents.size(), " axes; at most ",
             max_axes, " are supported.");
  StoredLayout layout{{}, itemsize};
  for (int64_t extent : extents) {
    check_file(extent >= 0 && extent <= std::numeric_limits<ShapeElem>::max(), op, what,
               " has the extent ", extent, ", which no array can have.");
    bool overflow =
        __builtin_mul_overflow(layout.nbytes, static_cast<size_t>(extent), &layout.nbytes);
    check_file(!overflow && layout.nbytes <= static_cast<size_t>(INT64_MAX), op, what,
               " has more bytes than can be counted.");
    layout.shape.push_back(static_cast<ShapeElem>(extent));
  }
  return layout;
}

std::string shown(std::string_view text) {
  constexpr size_t max_length = 100;
  std::string out(text.substr(0, max_length));
  for (char& c : out) {
    c = c >= 32 && c < 127 ? c : '?';
  }
  return text.size() > max_length ? out + "..." : out;
}

bool is_utf8(std::string_view text) {
  auto in = [](char c, int low, int high) {
    return static_cast<unsigned char>(c) >= low && static_cast<unsigned char>(c) <= high;
  };
  size_t i = 0;
  while (i < text.size()) {
    char c = text[i];
    size_t more = in(c, 0, 0x7f) ? 0 : in(c, 0xc2, 0xdf) ? 1 : in(c, 0xe0, 0xef) ? 2 : 3;
    if (!in(c, 0, 0x7f) && (!in(c, 0xc2, 0xf4) || more >= text.size() - i)) {
      return false;
    }
    // The first bytes that begin an overlong form, a surrogate or a number past the last character.
    int low = c == '\xe0' ? 0xa0 : c == '\xf0' ? 0x90 : 0x80;
    int high = c == '\xed' ? 0x9f : c == '\xf4' ? 0x8f : 0xbf;
    for (size_t k = 1; k <= more; k++) {
      if (!in(text[i + k], k == 1 ? low : 0x80, k == 1 ? high : 0xbf)) {
        return false;
      }
    }
    i += more + 1;
  }
  return true;
}

std::shared_ptr<Reader> open_reader(const std::string& file, const char* op) {
  auto reader = std::make_shared<ParallelFileReader>(file);
  check_file(reader->is_open(), op, "Failed to open ", reader->label());
  return reader;
}

Source readable_later(const std::shared_ptr<Reader>& reader, size_t offset, size_t bytes) {
  if (reader->reads_anywhere()) {
    return {reader, offset};
  }
  return {std::make_shared<MemoryReader>(*reader, offset, bytes), 0};
}

std::string with_extension(std::string file, const char* extension) {
  return file.ends_with(extension) ? file : file + extension;
}

std::vector<array> packed(const std::vector<array>& arrays) {
  std::vector<array> out;
  for (const auto& a : arrays) {
    out.push_back(contiguous(a, false, {}));
  }
  eval(out);
  return out;
}

}  // namespace mlx::core::io
