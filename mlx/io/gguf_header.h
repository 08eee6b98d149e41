// The header of a GGUF file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "mlx/io.h"
#include "mlx/io/load.h"

namespace mlx::core::io {

/** One tensor as the header describes it; the offset counts bytes from the start of the data. */
struct GgufTensor {
  std::string name;
  std::vector<int64_t> shape;  // row-major: the file has the extents the other way round
  uint32_t type = 0;
  uint64_t offset = 0;
};

struct GgufHeader {
  std::vector<GgufTensor> tensors;
  std::unordered_map<std::string, GGUFMetaData> metadata;
  size_t alignment = 32;
  size_t data_offset = 0;
};

/**
 * Reads the header of a file of `size` bytes. Numbers and lists of numbers become arrays of their
 * own dtype, texts and lists of texts are themselves, and lists of lists, which have no form here,
 * are empty. Throws std::runtime_error, which names the file, for other versions and byte orders,
 * counts and lengths that the file cannot hold, names that come twice, and unknown types.
 */
GgufHeader read_gguf_header(Reader& in, size_t size);

/** The bytes before the data. Throws std::invalid_argument for metadata that has no form there. */
std::string format_gguf_header(const GgufHeader& header);

}  // namespace mlx::core::io
