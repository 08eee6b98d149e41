// GGUF files. Tensors are read when they are evaluated; those of the common quantised types come as
// packed weights with scales and biases, the others of block types in float16.
#include <algorithm>

#include "mlx/io.h"
#include "mlx/io/format.h"
#include "mlx/io/gguf_blocks.h"
#include "mlx/io/gguf_header.h"
#include "mlx/io/gguf_tables.h"
#include "mlx/ops.h"
#include "mlx/primitives/load.h"

namespace mlx::core {

namespace {

constexpr const char* op = "load_gguf";

struct PlainType {
  uint32_t type;
  Dtype dtype;
};

constexpr PlainType plain_types[] = {
    {0, float32}, {1, float16}, {24, int8},    {25, int16},
    {26, int32},  {27, int64},  {28, float64}, {30, bfloat16},
};

/** A tensor's bytes as they are in the file: an array of `dtype`, or uint8 [blocks, bytes]. */
struct StoredTensor {
  const io::GgufTensor* tensor;
  const io::BlockFormat* format;  // nullptr for plain types
  Dtype dtype;
  io::StoredLayout layout;
};

StoredTensor stored(const io::GgufTensor& tensor, const std::string& what) {
  auto plain = std::find_if(std::begin(plain_types), std::end(plain_types),
                            [&](const PlainType& row) { return row.type == tensor.type; });
  if (plain != std::end(plain_types)) {
    auto layout = io::check_extents(tensor.shape, plain->dtype.size(), op, what);
    return {&tensor, nullptr, plain->dtype, layout};
  }
  const io::BlockFormat* format = io::block_format(tensor.type);
  io::check_file(format != nullptr, op, what, " has the type ", tensor.type,
                 ", which is not supported.");
  io::check_file(!format->table || io::gguf_table(format->table), op, what, " has the type ",
                 format->name, ", and this library was built without its tables, which are those",
                 " of the Python package gguf.");
  io::check_extents(tensor.shape, 1, op, what);
  int64_t last = tensor.shape.empty() ? 1 : tensor.shape.back();
  io::check_file(last % format->elements == 0, op, what, " of type ", format->name, " has ", last,
                 " elements along its last axis, which is no multiple of ", format->elements, ".");
  int64_t blocks = last / format->elements;
  for (size_t i = 0; i + 1 < tensor.shape.size(); i++) {
    blocks *= tensor.shape[i];
  }
  return {&tensor, format, uint8, io::check_extents({blocks, format->bytes}, 1, op, what)};
}

/** All tensors, seen to lie within the data and apart from each other. */
std::vector<StoredTensor> check_tensors(const io::GgufHeader& header, size_t size,
                                        const std::string& label) {
  size_t data_size = size > header.data_offset ? size - header.data_offset : 0;
  std::vector<StoredTensor> all;
  for (const auto& tensor : header.tensors) {
    std::string what = "Tensor '" + io::shown(tensor.name) + "' of " + label;
    all.push_back(stored(tensor, what));
    size_t bytes = all.back().layout.nbytes;
    io::check_file(tensor.offset <= data_size && bytes <= data_size - tensor.offset, op, what,
                   " has ", bytes, " bytes from ", tensor.offset, " on, but the file has ",
                   data_size, " bytes of data. Perhaps it is incomplete.");
    io::check_file(tensor.offset % header.alignment == 0, op, what, " begins at ", tensor.offset,
                   ", which is no multiple of ", header.alignment, ".");
  }
  std::sort(all.begin(), all.end(), [](const StoredTensor& a, const StoredTensor& b) {
    return a.tensor->offset < b.tensor->offset;
  });
  size_t end = 0;
  for (const auto& t : all) {
    bool apart = t.layout.nbytes == 0 || t.tensor->offset >= end;
    io::check_file(apart, op, "Tensor '", io::shown(t.tensor->name), "' of ", label,
                   " overlaps another one.");
    end = std::max(end, t.tensor->offset + t.layout.nbytes);
  }
  return all;
}

/** "model.weight" and "scales" give "model.scales". */
std::string part_name(const std::string& name, const std::string& suffix) {
  constexpr std::string_view weight = "weight";
  return (name.ends_with(weight) ? name.substr(0, name.size() - weight.size()) : name + ".") +
         suffix;
}

void add_parts(std::unordered_map<std::string, array>& arrays, const StoredTensor& t,
               const array& blocks, const std::string& label, StreamOrDevice s) {
  Shape rows(t.tensor->shape.begin(), t.tensor->shape.end());
  for (const auto& part : t.format->decode(blocks, s)) {
    Shape shape = rows;
    shape.back() = shape.back() / t.format->elements * part.rows.shape(1);
    bool is_weight = part.suffix == "weight";
    std::string name = is_weight ? t.tensor->name : part_name(t.tensor->name, part.suffix);
    bool is_new = arrays.emplace(name, reshape(part.rows, shape, s)).second;
    io::check_file(is_new, op, label, " has a tensor '", io::shown(name),
                   "' beside one that is made of '", io::shown(t.tensor->name), "'.");
  }
}

const PlainType& plain_type(const std::string& name, const array& a) {
  auto found = std::find_if(std::begin(plain_types), std::end(plain_types),
                            [&](const PlainType& row) { return row.dtype == a.dtype(); });
  check(found != std::end(plain_types), "save_gguf", "The array '", name, "' of shape ", a.shape(),
        " has the dtype ", a.dtype(), ", which the format does not have.");
  return *found;
}

size_t aligned(size_t n, size_t alignment) { return (n + alignment - 1) & ~(alignment - 1); }

}  // namespace

GGUFLoad load_gguf(const std::string& file, StreamOrDevice s) {
  auto reader = io::open_reader(file, op);
  const std::string label = reader->label();
  size_t size = io::source_size(*reader);
  auto header = io::read_gguf_header(*reader, size);
  Stream stream = to_stream(s);
  std::unordered_map<std::string, array> arrays;
  for (const auto& t : check_tensors(header, size, label)) {
    auto load = std::make_shared<Load>(stream, reader, header.data_offset + t.tensor->offset);
    array loaded(t.layout.shape, t.dtype, std::move(load), {});
    if (t.format) {
      add_parts(arrays, t, loaded, label, s);
    } else {
      bool is_new = arrays.emplace(t.tensor->name, loaded).second;
      io::check_file(is_new, op, label, " has a tensor '", io::shown(t.tensor->name),
                     "' beside one of that name that is made of another.");
    }
  }
  return {std::move(arrays), std::move(header.metadata)};
}

void save_gguf(std::string file, std::unordered_map<std::string, array> array_map,
               std::unordered_map<std::string, GGUFMetaData> meta_data) {
  io::GgufHeader header;
  header.metadata = std::move(meta_data);
  header.metadata.erase("general.alignment");  // the files written here have the usual one
  std::vector<array> ordered;
  for (const auto& [name, a] : array_map) {
    header.tensors.push_back(
        {name, {a.shape().begin(), a.shape().end()}, plain_type(name, a).type, 0});
  }
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  size_t position = 0;
  for (auto& tensor : header.tensors) {
    tensor.offset = position;
    ordered.push_back(array_map.at(tensor.name));
    position = aligned(position + ordered.back().nbytes(), header.alignment);
  }
  array_map.clear();
  ordered = io::packed(ordered);
  std::string start = io::format_gguf_header(header);

  io::FileWriter writer(io::with_extension(std::move(file), ".gguf"));
  writer.open();
  writer.write(start.data(), start.size());
  for (const auto& a : ordered) {
    std::string padding(aligned(a.nbytes(), header.alignment) - a.nbytes(), '\0');
    writer.write(a.data<char>(), a.nbytes());
    writer.write(padding.data(), padding.size());
  }
  writer.close();
}

}  // namespace mlx::core
