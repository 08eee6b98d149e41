// What the file formats share: distrust of what files say about themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "mlx/array.h"
#include "mlx/core/errors.h"
#include "mlx/io/load.h"

namespace mlx::core::io {

/** Throws std::runtime_error `[op] parts…` unless the condition holds: the file is at fault. */
template <typename... Parts>
void check_file(bool condition, const char* op, const Parts&... parts) {
  if (!condition) [[unlikely]] {
    throw std::runtime_error(error_message(op, parts...));
  }
}

/** The shape and the bytes of an array in a file. */
struct StoredLayout {
  Shape shape;
  size_t nbytes;
};

/**
 * Accepts extents from a file. Throws std::runtime_error, which names `what`, for a negative one,
 * one past 2^31 - 1, more than 64 of them, or more bytes than 63 bits count.
 */
StoredLayout check_extents(const std::vector<int64_t>& extents, size_t itemsize, const char* op,
                           const std::string& what);

/** Text from a file for use in a message: at most 100 characters, all printable ASCII. */
std::string shown(std::string_view text);

/** Whether the bytes are text as Unicode defines it, without surrogates. */
bool is_utf8(std::string_view text);

/** A reader of the file. Throws std::runtime_error if it cannot be opened. */
std::shared_ptr<Reader> open_reader(const std::string& file, const char* op);

/** Where bytes can be read from. */
struct Source {
  std::shared_ptr<Reader> reader;
  size_t offset;
};

/** The bytes from `offset` on as an evaluation may read them, at any time and on any thread. */
Source readable_later(const std::shared_ptr<Reader>& reader, size_t offset, size_t bytes);

/** `file`, with the extension added unless it ends so. */
std::string with_extension(std::string file, const char* extension);

/** Evaluates all of them, and returns them in row-major order without gaps. */
std::vector<array> packed(const std::vector<array>& arrays);

}  // namespace mlx::core::io
