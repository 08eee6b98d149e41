// Files of arrays. Loading is lazy: a header is read and checked at once, the elements when an
// array is evaluated, from a reader that all arrays of the file share. A file that cannot be
// opened, is cut short or contradicts itself raises std::runtime_error when it is loaded. Saving
// evaluates first, and a file appears under its name only when it is complete.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core {

namespace io {
class Reader;
class Writer;
}  // namespace io

using GGUFMetaData = std::variant<std::monostate, array, std::string, std::vector<std::string>>;
using GGUFLoad = std::pair<std::unordered_map<std::string, array>,
                           std::unordered_map<std::string, GGUFMetaData>>;
/** Arrays by name, and the file's metadata. */
using SafetensorsLoad =
    std::pair<std::unordered_map<std::string, array>, std::unordered_map<std::string, std::string>>;

/** Writes NumPy's npy format; bfloat16 as `<V2`. A file name gets the extension if it has none. */
void save(std::shared_ptr<io::Writer> out_stream, array a);
void save(std::string file, array a);

/** The array of an npy file, of either byte order. A stream is left behind the array's bytes. */
array load(std::shared_ptr<io::Reader> in_stream, StreamOrDevice s = {});
array load(std::string file, StreamOrDevice s = {});

/** 8-bit floats are read as their bits, uint8. */
SafetensorsLoad load_safetensors(std::shared_ptr<io::Reader> in_stream, StreamOrDevice s = {});
SafetensorsLoad load_safetensors(const std::string& file, StreamOrDevice s = {});

/** Names and metadata must be UTF-8. A file name gets the extension if it has none. */
void save_safetensors(std::shared_ptr<io::Writer> in_stream, std::unordered_map<std::string, array>,
                      std::unordered_map<std::string, std::string> metadata = {});
void save_safetensors(std::string file, std::unordered_map<std::string, array>,
                      std::unordered_map<std::string, std::string> metadata = {});

/**
 * Arrays by name, and the metadata: numbers and lists of numbers as arrays, texts, lists of texts,
 * and nothing for lists of lists. Q4_0, Q4_1 and Q8_0 tensors `x.weight` give what
 * quantized_matmul takes for groups of 32, `x.weight`, `x.scales` and `x.biases`; Q5_0, Q5_1, Q2_K
 * to Q6_K, IQ4_NL, IQ4_XS and MXFP4 are decoded to float16.
 */
GGUFLoad load_gguf(const std::string& file, StreamOrDevice s = {});

/** For float16, float32, float64, bfloat16 and signed integers. A file name gets the extension if
 * it has none. */
void save_gguf(std::string file, std::unordered_map<std::string, array> array_map,
               std::unordered_map<std::string, GGUFMetaData> meta_data = {});

}  // namespace mlx::core
