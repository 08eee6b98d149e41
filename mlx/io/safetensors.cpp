// Safetensors files: https://github.com/huggingface/safetensors#format
#include <algorithm>
#include <string_view>

#include "mlx/io.h"
#include "mlx/io/format.h"
#include "mlx/io/safetensors_header.h"
#include "mlx/primitives/load.h"

namespace mlx::core {

namespace {

constexpr const char* op = "load_safetensors";
/** The format's own limit. */
constexpr uint64_t max_header_size = 100'000'000;
constexpr size_t length_size = sizeof(uint64_t);

struct NamedDtype {
  std::string_view name;
  Dtype dtype;
};

/** Names of the format. The 8-bit floats, which have no dtype here, are read as their bits. */
constexpr NamedDtype dtypes[] = {
    {"BOOL", bool_},    {"U8", uint8},      {"U16", uint16},    {"U32", uint32},
    {"U64", uint64},    {"I8", int8},       {"I16", int16},     {"I32", int32},
    {"I64", int64},     {"F16", float16},   {"F32", float32},   {"F64", float64},
    {"BF16", bfloat16}, {"C64", complex64}, {"F8_E4M3", uint8}, {"F8_E5M2", uint8},
    {"F8_E8M0", uint8},
};

Dtype dtype_from_name(const io::TensorEntry& entry, const std::string& label) {
  for (const auto& row : dtypes) {
    if (row.name == entry.dtype) {
      return row.dtype;
    }
  }
  throw std::runtime_error(error_message(op, "Tensor '", io::shown(entry.name), "' of ", label,
                                         " has the unsupported dtype ", io::shown(entry.dtype),
                                         "."));
}

std::string name_from_dtype(Dtype dtype) {
  auto row = std::find_if(std::begin(dtypes), std::end(dtypes),
                          [&](const NamedDtype& r) { return r.dtype == dtype; });
  check(row != std::end(dtypes), "save_safetensors", "The format has no dtype ", dtype, ".");
  return std::string(row->name);
}

/** The header text; the reader then stands at the data. */
std::string read_header(io::Reader& in, size_t size) {
  const std::string label = in.label();
  io::check_file(size >= length_size, op, label, " is too short for a safetensors file.");
  in.seek(0);
  unsigned char bytes[length_size];
  in.read(reinterpret_cast<char*>(bytes), length_size);
  uint64_t length = 0;
  for (size_t i = length_size; i-- > 0;) {
    length = length << 8 | bytes[i];
  }
  io::check_file(length > 0 && length <= max_header_size && length <= size - length_size, op, label,
                 " of ", size, " bytes says that its header has ", length, " bytes.");
  std::string text(length, '\0');
  in.read(text.data(), length);
  return text;
}

/** The tensors must fill the data without gaps or overlaps. */
void check_offsets(std::vector<io::TensorEntry> tensors, uint64_t data_size,
                   const std::string& label) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  uint64_t position = 0;
  for (const auto& t : tensors) {
    io::check_file(t.begin <= t.end && t.end <= data_size, op, "Tensor '", io::shown(t.name),
                   "' of ", label, " has the data offsets [", t.begin, ", ", t.end, "] in ",
                   data_size, " bytes of data. Perhaps the file is incomplete.");
    io::check_file(t.begin == position, op, "Tensor '", io::shown(t.name), "' of ", label,
                   " at offset ", t.begin, t.begin < position ? " overlaps" : " leaves a gap after",
                   " the one before it, which ends at ", position, ".");
    position = t.end;
  }
  io::check_file(position == data_size, op, label, " has ", data_size - position,
                 " bytes that belong to no tensor.");
}

io::TensorEntry entry_of(const std::string& name, const array& a) {
  return {name, name_from_dtype(a.dtype()), {a.shape().begin(), a.shape().end()}};
}

/** Descriptions of the arrays in file order: wide types first, so that all are aligned. */
std::vector<io::TensorEntry> plan_tensors(const std::unordered_map<std::string, array>& arrays) {
  std::vector<std::pair<std::string_view, const array*>> order;
  for (const auto& [name, a] : arrays) {
    order.emplace_back(name, &a);
  }
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    size_t wa = a.second->itemsize(), wb = b.second->itemsize();
    return wa != wb ? wa > wb : a.first < b.first;
  });
  std::vector<io::TensorEntry> tensors;
  uint64_t position = 0;
  for (const auto& [name, a] : order) {
    tensors.push_back(entry_of(std::string(name), *a));
    tensors.back().begin = position;
    tensors.back().end = position += a->nbytes();
  }
  return tensors;
}

}  // namespace

SafetensorsLoad load_safetensors(std::shared_ptr<io::Reader> in_stream, StreamOrDevice s) {
  check(in_stream && in_stream->is_open() && in_stream->good(), op,
        "The source is not open for reading.");
  const std::string label = in_stream->label();
  size_t size = io::source_size(*in_stream);
  std::string text = read_header(*in_stream, size);
  size_t data_offset = length_size + text.size();
  io::SafetensorsHeader header = io::parse_safetensors_header(text, label);
  check_offsets(header.tensors, size - data_offset, label);

  Stream stream = to_stream(s);
  std::unordered_map<std::string, array> arrays;
  for (const auto& t : header.tensors) {
    Dtype dtype = dtype_from_name(t, label);
    const std::string what = "Tensor '" + io::shown(t.name) + "' of " + label;
    auto layout = io::check_extents(t.shape, dtype.size(), op, what);
    io::check_file(layout.nbytes == t.end - t.begin, op, what, " has data of ", t.end - t.begin,
                   " bytes; its shape ", layout.shape, " and ", t.dtype, " need ", layout.nbytes,
                   ".");
    auto source = io::readable_later(in_stream, data_offset + t.begin, layout.nbytes);
    auto load = std::make_shared<Load>(stream, source.reader, source.offset);
    arrays.emplace(t.name, array(layout.shape, dtype, std::move(load), {}));
  }
  return {std::move(arrays), std::move(header.metadata)};
}

SafetensorsLoad load_safetensors(const std::string& file, StreamOrDevice s) {
  return load_safetensors(io::open_reader(file, op), s);
}

void save_safetensors(std::shared_ptr<io::Writer> in_stream,
                      std::unordered_map<std::string, array> arrays,
                      std::unordered_map<std::string, std::string> metadata) {
  check(in_stream != nullptr, "save_safetensors", "No destination.");
  check(!arrays.contains("__metadata__"), "save_safetensors",
        "The name __metadata__ is reserved by the format.");
  io::SafetensorsHeader header{plan_tensors(arrays), std::move(metadata)};
  std::string text = io::format_safetensors_header(header);
  text.append((length_size - text.size() % length_size) % length_size, ' ');
  check(text.size() <= max_header_size, "save_safetensors", "The names, shapes and metadata take ",
        text.size(), " bytes; the format allows ", max_header_size, ".");

  std::vector<array> ordered;
  for (const auto& t : header.tensors) {
    ordered.push_back(arrays.at(t.name));
  }
  arrays.clear();
  ordered = io::packed(ordered);
  in_stream->open();
  check(in_stream->is_open() && in_stream->good(), "save_safetensors", "Cannot write ",
        in_stream->label(), ".");
  char length[length_size];
  for (size_t i = 0; i < length_size; i++) {
    length[i] = static_cast<char>(text.size() >> 8 * i);
  }
  in_stream->write(length, length_size);
  in_stream->write(text.data(), text.size());
  for (const auto& a : ordered) {
    in_stream->write(a.data<char>(), a.nbytes());
  }
}

void save_safetensors(std::string file, std::unordered_map<std::string, array> arrays,
                      std::unordered_map<std::string, std::string> metadata) {
  auto writer =
      std::make_shared<io::FileWriter>(io::with_extension(std::move(file), ".safetensors"));
  save_safetensors(writer, std::move(arrays), std::move(metadata));
  writer->close();
}

}  // namespace mlx::core
