// Nothing that the header says is believed before the file has been seen to be long enough for it.
#include "mlx/io/gguf_header.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <unordered_set>

#include "mlx/io/format.h"

namespace mlx::core::io {

namespace {

constexpr const char* op = "load_gguf";
constexpr std::string_view magic = "GGUF";
constexpr uint32_t version = 3;  // 2 differs only in that it has no big-endian form
constexpr uint32_t most_axes = 8;
constexpr int deepest_list = 8;
constexpr const char* alignment_key = "general.alignment";

constexpr uint32_t text_type = 8, list_type = 9;

struct NumberType {
  uint32_t type;
  Dtype dtype;
};

constexpr NumberType number_types[] = {
    {0, uint8},   {1, int8},  {2, uint16},  {3, int16},  {4, uint32},   {5, int32},
    {6, float32}, {7, bool_}, {10, uint64}, {11, int64}, {12, float64},
};

/** The header's bytes in order, through a buffer that grows no larger than a piece of the file. */
class HeaderReader {
 public:
  HeaderReader(Reader& in, size_t size) : in_(in), label_(in.label()), size_(size) { in_.seek(0); }

  const std::string& label() const { return label_; }
  size_t position() const { return position_; }
  size_t remaining() const { return size_ - position_; }

  void bytes(char* out, size_t n) {
    check_file(n <= remaining(), op, label_, " of ", size_, " bytes ends within its header.");
    position_ += n;
    while (n > 0) {
      if (next_ == buffered_) {
        refill();
      }
      size_t part = std::min(n, buffered_ - next_);
      std::copy_n(buffer_ + next_, part, out);
      next_ += part;
      out += part;
      n -= part;
    }
  }

  template <typename T>
  T number() {
    T value;
    bytes(reinterpret_cast<char*>(&value), sizeof(T));
    return value;
  }

  /** How many things of at least `least` bytes each are to come. */
  size_t count(size_t least, const char* of_what) {
    auto n = number<uint64_t>();
    check_file(n <= remaining() / least, op, label_, " of ", size_, " bytes says that it has ", n,
               " ", of_what, ".");
    return n;
  }

  std::string text() {
    std::string out(count(1, "bytes in a text"), '\0');
    bytes(out.data(), out.size());
    check_file(is_utf8(out), op, label_, " has a text that is not UTF-8: ", shown(out), ".");
    return out;
  }

 private:
  void refill() {
    size_t taken = position_of_buffer_;
    buffered_ = std::min(sizeof(buffer_), size_ - taken);
    in_.read(buffer_, buffered_);
    position_of_buffer_ += buffered_;
    next_ = 0;
  }

  Reader& in_;
  std::string label_;
  size_t size_;
  size_t position_ = 0;
  size_t position_of_buffer_ = 0;  // of its end
  size_t next_ = 0;
  size_t buffered_ = 0;
  char buffer_[size_t{1} << 16];
};

const NumberType* number_type(uint32_t type) {
  auto found = std::find_if(std::begin(number_types), std::end(number_types),
                            [&](const NumberType& row) { return row.type == type; });
  return found == std::end(number_types) ? nullptr : found;
}

void check_known(bool known, uint32_t type, const std::string& key, const HeaderReader& in) {
  check_file(known, op, "The metadata '", shown(key), "' of ", in.label(), " has the unknown type ",
             type, ".");
}

array read_numbers(HeaderReader& in, const Shape& shape, Dtype dtype) {
  array out(allocator::malloc(num_bytes(shape, dtype)), shape, dtype);
  in.bytes(out.data<char>(), out.nbytes());
  if (dtype == bool_) {  // only 0 and 1 are values of a bool
    std::for_each_n(out.data<uint8_t>(), out.size(), [](uint8_t& b) { b = b != 0; });
  }
  return out;
}

GGUFMetaData read_list(HeaderReader& in, const std::string& key, int depth) {
  auto type = in.number<uint32_t>();
  if (const NumberType* number = number_type(type)) {
    size_t n = in.count(number->dtype.size(), "numbers in a list");
    auto layout = check_extents({static_cast<int64_t>(n)}, number->dtype.size(), op, in.label());
    return read_numbers(in, layout.shape, number->dtype);
  }
  check_known(type == text_type || type == list_type, type, key, in);
  size_t n = in.count(sizeof(uint64_t), "parts of a list");
  if (type == list_type) {
    check_file(depth < deepest_list, op, in.label(), " has lists nested more than ", deepest_list,
               " deep.");
    for (size_t i = 0; i < n; i++) {
      read_list(in, key, depth + 1);
    }
    return std::monostate{};
  }
  std::vector<std::string> texts;
  for (size_t i = 0; i < n; i++) {
    texts.push_back(in.text());
  }
  return texts;
}

GGUFMetaData read_value(HeaderReader& in, const std::string& key) {
  auto type = in.number<uint32_t>();
  if (const NumberType* number = number_type(type)) {
    return read_numbers(in, {}, number->dtype);
  }
  check_known(type == text_type || type == list_type, type, key, in);
  return type == text_type ? GGUFMetaData(in.text()) : read_list(in, key, 0);
}

GgufTensor read_tensor(HeaderReader& in) {
  GgufTensor tensor;
  tensor.name = in.text();
  auto axes = in.number<uint32_t>();
  check_file(axes <= most_axes, op, "Tensor '", shown(tensor.name), "' of ", in.label(), " has ",
             axes, " axes; at most ", most_axes, " are supported.");
  for (uint32_t i = 0; i < axes; i++) {
    tensor.shape.insert(tensor.shape.begin(), in.number<int64_t>());
  }
  tensor.type = in.number<uint32_t>();
  tensor.offset = in.number<uint64_t>();
  return tensor;
}

size_t read_alignment(const GgufHeader& header, const std::string& label) {
  auto found = header.metadata.find(alignment_key);
  if (found == header.metadata.end()) {
    return header.alignment;
  }
  auto* value = std::get_if<array>(&found->second);
  bool is_number = value && value->dtype() == uint32 && value->ndim() == 0;
  size_t alignment = is_number ? value->item<uint32_t>() : 0;
  bool is_power_of_two = alignment > 0 && (alignment & (alignment - 1)) == 0;
  check_file(is_power_of_two, op, label, " has no power of two as ", alignment_key, ".");
  return alignment;
}

template <typename T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

void append_text(std::string& out, const std::string& text) {
  check(is_utf8(text), "save_gguf", "Names and metadata must be UTF-8: ", shown(text));
  append<uint64_t>(out, text.size());
  out += text;
}

void append_array(std::string& out, array value, const std::string& key) {
  auto found = std::find_if(std::begin(number_types), std::end(number_types),
                            [&](const NumberType& row) { return row.dtype == value.dtype(); });
  check(found != std::end(number_types) && value.ndim() <= 1, "save_gguf", "The metadata '", key,
        "' of shape ", value.shape(), " and dtype ", value.dtype(),
        " has no form in the file: a number or a list of numbers has, but not of ", float16, ", ",
        bfloat16, " or ", complex64, ".");
  if (value.ndim() == 1) {
    append(out, list_type);
  }
  append(out, found->type);
  if (value.ndim() == 1) {
    append<uint64_t>(out, value.size());
  }
  array flat = packed({value})[0];
  out.append(flat.data<char>(), flat.nbytes());
}

void append_value(std::string& out, const GGUFMetaData& value, const std::string& key) {
  if (auto* number = std::get_if<array>(&value)) {
    append_array(out, *number, key);
  } else if (auto* text = std::get_if<std::string>(&value)) {
    append(out, text_type);
    append_text(out, *text);
  } else {
    auto* texts = std::get_if<std::vector<std::string>>(&value);
    check(texts != nullptr, "save_gguf", "The metadata '", key, "' has no value.");
    append(out, list_type);
    append(out, text_type);
    append<uint64_t>(out, texts->size());
    for (const auto& text : *texts) {
      append_text(out, text);
    }
  }
}

}  // namespace

GgufHeader read_gguf_header(Reader& source, size_t size) {
  HeaderReader in(source, size);
  char start[magic.size()];
  in.bytes(start, sizeof(start));
  check_file(std::string_view(start, sizeof(start)) == magic, op, in.label(),
             " is not a GGUF file.");
  auto found = in.number<uint32_t>();
  check_file(found == 2 || found == version, op, in.label(), " has the GGUF version ", found,
             "; versions 2 and ", version, " in little-endian order are supported.");
  constexpr size_t least_tensor = 24, least_pair = 13;
  size_t tensors = in.count(least_tensor, "tensors");
  size_t pairs = in.count(least_pair, "metadata");

  GgufHeader header;
  for (size_t i = 0; i < pairs; i++) {
    std::string key = in.text();
    auto value = read_value(in, key);
    bool is_new = header.metadata.emplace(key, std::move(value)).second;
    check_file(is_new, op, in.label(), " has the metadata '", shown(key), "' twice.");
  }
  std::unordered_set<std::string> names;
  for (size_t i = 0; i < tensors; i++) {
    header.tensors.push_back(read_tensor(in));
    const std::string& name = header.tensors.back().name;
    check_file(names.insert(name).second, op, in.label(), " has the tensor '", shown(name),
               "' twice.");
  }
  header.alignment = read_alignment(header, in.label());
  header.data_offset = (in.position() + header.alignment - 1) & ~(header.alignment - 1);
  return header;
}

std::string format_gguf_header(const GgufHeader& header) {
  std::string out(magic);
  append(out, version);
  append<uint64_t>(out, header.tensors.size());
  append<uint64_t>(out, header.metadata.size());
  std::vector<std::string> keys;
  for (const auto& [key, value] : header.metadata) {
    keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end());
  for (const auto& key : keys) {
    append_text(out, key);
    append_value(out, header.metadata.at(key), key);
  }
  for (const auto& tensor : header.tensors) {
    append_text(out, tensor.name);
    append(out, static_cast<uint32_t>(tensor.shape.size()));
    std::for_each(tensor.shape.rbegin(), tensor.shape.rend(),
                  [&](int64_t extent) { append(out, extent); });
    append(out, tensor.type);
    append(out, tensor.offset);
  }
  out.append(-out.size() & (header.alignment - 1), '\0');
  return out;
}

}  // namespace mlx::core::io
