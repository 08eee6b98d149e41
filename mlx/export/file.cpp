// Header, description, constants. All sizes follow from the header and the description, so that a
// file which is cut short, or longer than it should be, is found out before anything is read.
#include "mlx/export/file.h"

#include <algorithm>
#include <filesystem>

#include "mlx/core/errors.h"
#include "mlx/export/checksum.h"
#include "mlx/export/constants.h"
#include "mlx/io.h"
#include "mlx/io/format.h"
#include "mlx/io/load.h"
#include "mlx/transforms.h"

namespace mlx::core {

namespace {

constexpr std::string_view magic("\x89LZFUN\r\n", 8);
constexpr uint64_t version = 1;
constexpr size_t header_size = 48, alignment = 64;

/** Where the elements of a constant are. */
enum class Home : uint8_t { inside, repeated, beside };

size_t aligned(size_t n) { return (n + alignment - 1) / alignment * alignment; }

// ------------------------------------------------------------------ writing

void write_trace(ByteWriter& to, const StoredTrace& trace);

void write_node(ByteWriter& to, const StoredNode& node) {
  to.text(node.primitive);
  write_values(to, node.fields);
  to.byte(static_cast<uint8_t>(node.place));
  to.number(node.inputs.size());
  for (uint32_t i : node.inputs) to.number(i);
  to.number(node.shapes.size());
  for (size_t i = 0; i < node.shapes.size(); i++) {
    to.dtype(node.dtypes[i]);
    to.shape(node.shapes[i]);
  }
  to.number(node.graphs.size());
  for (auto& graph : node.graphs) write_trace(to, graph);
}

void write_trace(ByteWriter& to, const StoredTrace& trace) {
  to.number(trace.arguments.size());
  for (auto& a : trace.arguments) {
    to.text(a.name);
    to.dtype(a.dtype);
    to.shape(a.shape);
    for (size_t i = 0; i < a.shape.size(); i++) to.number(a.extents.empty() ? 0 : a.extents[i]);
  }
  to.byte(trace.draws);
  to.number(trace.constants.size());
  for (uint32_t i : trace.constants) to.number(i);
  to.number(trace.nodes.size());
  for (auto& node : trace.nodes) write_node(to, node);
  to.number(trace.outputs.size());
  for (uint32_t i : trace.outputs) to.number(i);
  to.text(trace.structure);
}

struct Constant {
  StoredElements stored;
  Home home;
};

std::vector<Constant> prepared(const std::vector<array>& constants, bool beside) {
  std::vector<Constant> out;
  for (auto& a : constants) {
    auto stored = stored_elements(a);
    Home home = stored.repeated          ? Home::repeated
                : beside && a.size() > 1 ? Home::beside
                                         : Home::inside;
    out.push_back({std::move(stored), home});
  }
  return out;
}

std::string describe(const StoredFunction& function, const std::vector<Constant>& constants,
                     const std::string& weights) {
  ByteWriter to;
  to.text(function.metadata);
  to.text(weights);
  to.number(constants.size());
  for (size_t i = 0; i < constants.size(); i++) {
    const auto& [stored, home] = constants[i];
    to.dtype(stored.elements.dtype());
    to.shape(function.constants[i].shape());
    for (int axis : stored.order) to.number(axis);
    to.byte(static_cast<uint8_t>(home));
    to.word(xxh64(stored.elements.data<char>(), stored.elements.nbytes()));
  }
  to.number(function.traces.size());
  for (auto& trace : function.traces) write_trace(to, trace);
  return to.bytes();
}

std::string header(const std::string& description, size_t data_size) {
  ByteWriter to;
  to.raw(magic);
  to.word(version);
  to.word(description.size());
  to.word(data_size);
  to.word(xxh64(description.data(), description.size()));
  to.word(xxh64(to.bytes().data(), to.bytes().size()));
  return to.bytes();
}

void write_padded(io::FileWriter& to, const char* data, size_t n, size_t position) {
  static constexpr char zeros[alignment] = {};
  to.write(data, n);
  to.write(zeros, aligned(position + n) - (position + n));
}

std::string folder_of(const std::string& file) {
  return std::filesystem::path(file).parent_path().string();
}

/** Where the weights are that a function's file names. */
std::string beside(const std::string& file, const std::string& weights) {
  return (std::filesystem::path(folder_of(file)) / weights).string();
}

void write_weights(const std::string& file, const std::vector<Constant>& constants) {
  std::unordered_map<std::string, array> named;
  for (size_t i = 0; i < constants.size(); i++) {
    if (constants[i].home == Home::beside) {
      named.emplace(std::to_string(i), constants[i].stored.elements);
    }
  }
  save_safetensors(file, named);
}

}  // namespace

void write_function(const std::string& file, const StoredFunction& function,
                    const std::string& weights) {
  auto constants = prepared(function.constants, !weights.empty());
  std::string name = weights.empty() ? weights : io::with_extension(weights, ".safetensors");
  if (!name.empty()) write_weights(beside(file, name), constants);
  std::string description = describe(function, constants, name);
  std::erase_if(constants, [](auto& c) { return c.home == Home::beside; });
  size_t data_size = 0;
  for (auto& c : constants) data_size += aligned(c.stored.elements.nbytes());
  io::FileWriter to(file);
  to.open();
  to.write(header(description, data_size).data(), header_size);
  write_padded(to, description.data(), description.size(), header_size);
  for (auto& c : constants) {
    write_padded(to, c.stored.elements.data<char>(), c.stored.elements.nbytes(), 0);
  }
  to.close();
}

// ------------------------------------------------------------------ reading

namespace {

template <typename... Parts>
void expect(bool condition, const Parts&... parts) {
  ByteReader::expect(condition, parts...);
}

StoredArgument read_argument(ByteReader& from) {
  StoredArgument a;
  a.name = from.text();
  a.dtype = from.dtype();
  a.shape = from.shape(a.dtype.size());
  bool free = false;
  for (size_t i = 0; i < a.shape.size(); i++) {
    a.extents.push_back(static_cast<uint32_t>(from.number()));
    free |= a.extents.back() != 0;
  }
  if (!free) a.extents.clear();
  return a;
}

std::vector<uint32_t> read_indices(ByteReader& from, size_t end) {
  std::vector<uint32_t> indices(from.count());
  for (auto& i : indices) i = from.index(end);
  return indices;
}

StoredTrace read_trace(ByteReader& from, size_t constants, int depth);

StoredNode read_node(ByteReader& from, size_t values, size_t constants, int depth) {
  StoredNode node;
  node.primitive = from.text();
  node.fields = read_values(from);
  node.place = static_cast<Place>(from.index(3));
  node.inputs = read_indices(from, values);
  size_t n = from.count(2);
  expect(n > 0, "A node in the file has no outputs.");
  for (size_t i = 0; i < n; i++) {
    node.dtypes.push_back(from.dtype());
    node.shapes.push_back(from.shape(node.dtypes.back().size()));
  }
  size_t graphs = from.count(5);
  for (size_t i = 0; i < graphs; i++) node.graphs.push_back(read_trace(from, constants, depth + 1));
  return node;
}

StoredTrace read_trace(ByteReader& from, size_t constants, int depth) {
  constexpr int most_depth = 32;
  expect(depth < most_depth, "Graphs in the file are nested too deeply.");
  StoredTrace trace;
  size_t arguments = from.count(3);
  for (size_t i = 0; i < arguments; i++) trace.arguments.push_back(read_argument(from));
  trace.draws = from.index(2) == 1;
  expect(!trace.draws || arguments > 0, "A function in the file draws without a key.");
  trace.constants = read_indices(from, constants);
  size_t values = arguments + trace.constants.size(), nodes = from.count(5);
  for (size_t i = 0; i < nodes; i++) {
    trace.nodes.push_back(read_node(from, values, constants, depth));
    values += trace.nodes.back().shapes.size();
  }
  trace.outputs = read_indices(from, values);
  trace.structure = from.text();
  return trace;
}

struct StoredConstant {
  Dtype dtype;
  Shape shape;
  std::vector<int> order;
  Home home;
  uint64_t hash;

  /** Of what is stored. */
  Shape stored_shape() const {
    Shape out;
    if (home == Home::repeated) return out;
    for (int axis : order) out.push_back(shape[axis]);
    return out;
  }
};

StoredConstant read_constant(ByteReader& from) {
  Dtype dtype = from.dtype();
  Shape shape = from.shape(dtype.size());
  std::vector<int> order(shape.size()), sorted;
  for (int& axis : order) axis = static_cast<int>(from.index(shape.size()));
  sorted = order;
  std::ranges::sort(sorted);
  expect(std::ranges::adjacent_find(sorted) == sorted.end(), "A constant has an axis twice.");
  auto home = static_cast<Home>(from.index(3));
  expect(home != Home::repeated || num_elements(shape) > 1, "A constant repeats nothing.");
  return {dtype, shape, order, home, from.word()};
}

/** Constants from the file and from beside it. */
class ConstantReader {
 public:
  ConstantReader(io::Reader& reader, size_t begin, size_t end, std::string weights)
      : reader_(reader), position_(begin), end_(end), weights_(std::move(weights)) {}

  array read(const StoredConstant& stored, size_t number) {
    array a = stored.home == Home::beside ? from_weights(stored, number) : from_file(stored);
    expect(xxh64(a.data<char>(), a.nbytes()) == stored.hash, "Constant ", number,
           " is damaged: its checksum differs.");
    return from_elements(a, stored.home == Home::repeated, stored.shape, stored.order);
  }

  void expect_end() const {
    expect(position_ == end_, "The constants of the file take other room than it says.");
  }

 private:
  array from_file(const StoredConstant& stored) {
    Shape shape = stored.stored_shape();
    size_t bytes = num_bytes(shape, stored.dtype);
    expect(bytes <= end_ - position_, "A constant reaches beyond the file's end.");
    array a(allocator::Data(allocator::malloc(bytes)), shape, stored.dtype);
    reader_.read(a.data<char>(), bytes, position_);
    position_ = std::min(end_, position_ + aligned(bytes));
    return a;
  }

  array from_weights(const StoredConstant& stored, size_t number) {
    if (!loaded_) arrays_ = load_safetensors(weights_, Device::cpu).first, loaded_ = true;
    auto found = arrays_.find(std::to_string(number));
    expect(found != arrays_.end(), "The file ", weights_, " has no constant ", number, ".");
    array a = found->second;
    expect(a.shape() == stored.stored_shape() && a.dtype() == stored.dtype, "Constant ", number,
           " has another shape or dtype in ", weights_, ".");
    a.eval();
    return a;
  }

  io::Reader& reader_;
  size_t position_, end_;
  std::string weights_;
  bool loaded_ = false;
  std::unordered_map<std::string, array> arrays_;
};

/** The description, of a file whose sizes and checksums are right; `data` is where it ends. */
std::string read_description(io::Reader& reader, size_t& data) {
  size_t size = io::source_size(reader);
  std::string bytes(header_size, 0);
  expect(size >= header_size, "The file is too short.");
  reader.read(bytes.data(), header_size, 0);
  ByteReader from(bytes);
  expect(from.raw(magic.size()) == magic, "This is not a file of an exported function.");
  uint64_t found = from.word();
  expect(found == version, "The file has version ", found, " of the format; this library reads ",
         version, ".");
  uint64_t length = from.word(), data_size = from.word(), hash = from.word();
  expect(from.word() == xxh64(bytes.data(), header_size - 8), "The file's header is damaged.");
  expect(length <= size - header_size && aligned(header_size + length) <= size &&
             size - aligned(header_size + length) == data_size,
         "The file is cut short or too long.");
  std::string description(length, 0);
  reader.read(description.data(), length, header_size);
  expect(xxh64(description.data(), length) == hash, "The file's description is damaged.");
  data = aligned(header_size + length);
  return description;
}

}  // namespace

StoredFunction read_function(const std::string& file) {
  auto reader = io::open_reader(file, "import_function");
  size_t data = 0;
  std::string description = read_description(*reader, data);
  ByteReader from(description);
  StoredFunction function;
  function.metadata = from.text();
  std::string weights = from.text();
  ConstantReader constants(*reader, data, io::source_size(*reader), beside(file, weights));
  size_t n = from.count(11);
  for (size_t i = 0; i < n; i++) {
    function.constants.push_back(constants.read(read_constant(from), i));
  }
  constants.expect_end();
  size_t traces = from.count(5);
  for (size_t i = 0; i < traces; i++) function.traces.push_back(read_trace(from, n, 0));
  expect(from.left() == 0, "The file's description is longer than what it describes.");
  return function;
}

}  // namespace mlx::core
