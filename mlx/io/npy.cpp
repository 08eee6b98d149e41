// NumPy's .npy files: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#include "mlx/io.h"
#include "mlx/io/format.h"
#include "mlx/io/npy_header.h"
#include "mlx/ops.h"
#include "mlx/primitives/load.h"

namespace mlx::core {

namespace {

constexpr std::string_view magic{"\x93NUMPY", 6};
/** Far more than any header of a plain array needs. */
constexpr size_t max_header_size = 1 << 16;

size_t little_endian(const unsigned char* bytes, int count) {
  size_t value = 0;
  for (int i = count; i-- > 0;) {
    value = value << 8 | bytes[i];
  }
  return value;
}

struct NpyFile {
  io::NpyHeader header;
  size_t data_offset;
};

/** Reads the header at the reader's position, with `available` bytes to come. */
NpyFile read_header(io::Reader& in, size_t available) {
  const std::string label = in.label();
  size_t start = in.tell();
  io::check_file(available >= 10, "load", label, " is too short for an npy file.");
  char prefix[12];
  in.read(prefix, 8);
  io::check_file(std::string_view(prefix, 6) == magic, "load", label, " is not an npy file.");
  int major = prefix[6];
  io::check_file(major >= 1 && major <= 3, "load", label, " has an unknown npy version ", major,
                 ".");
  int length_bytes = major == 1 ? 2 : 4;
  io::check_file(available >= 8u + length_bytes, "load", label, " is too short for an npy file.");
  in.read(prefix + 8, length_bytes);
  size_t length = little_endian(reinterpret_cast<unsigned char*>(prefix) + 8, length_bytes);
  io::check_file(length <= max_header_size && length <= available - 8 - length_bytes, "load", label,
                 " says that its npy header has ", length, " bytes.");
  std::string text(length, '\0');
  in.read(text.data(), length);
  return {io::parse_npy_header(text, label), start + 8 + length_bytes + length};
}

std::string file_prefix(const io::NpyHeader& header) {
  constexpr size_t alignment = 64;
  std::string text = io::format_npy_header(header);
  size_t unpadded = magic.size() + 4 + text.size() + 1;
  text.append((alignment - unpadded % alignment) % alignment, ' ');
  text += '\n';
  std::string out(magic);
  out +=
      {'\x01', '\x00', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return out + text;
}

}  // namespace

array load(std::shared_ptr<io::Reader> in_stream, StreamOrDevice s) {
  check(in_stream && in_stream->is_open() && in_stream->good(), "load",
        "The source is not open for reading.");
  size_t size = io::source_size(*in_stream);
  size_t start = in_stream->tell();
  NpyFile file = read_header(*in_stream, size > start ? size - start : 0);
  auto [dtype, swapped] = io::dtype_from_descr(file.header.descr);
  const std::string label = in_stream->label();
  auto layout = io::check_extents(file.header.shape, dtype.size(), "load", label);
  io::check_file(layout.nbytes <= size - file.data_offset, "load", label, " ends after ",
                 size - file.data_offset, " of ", layout.nbytes, " bytes of data.");
  in_stream->seek(static_cast<int64_t>(file.data_offset + layout.nbytes));

  Shape stored = layout.shape;
  if (file.header.fortran_order) {
    std::reverse(stored.begin(), stored.end());
  }
  auto source = io::readable_later(in_stream, file.data_offset, layout.nbytes);
  array out(std::move(stored), dtype,
            std::make_shared<Load>(to_stream(s), source.reader, source.offset, swapped), {});
  return file.header.fortran_order ? transpose(out, s) : out;
}

array load(std::string file, StreamOrDevice s) { return load(io::open_reader(file, "load"), s); }

void save(std::shared_ptr<io::Writer> out_stream, array a) {
  check(out_stream != nullptr, "save", "No destination.");
  a.eval();
  bool fortran_order = a.flags().col_contiguous && !a.flags().row_contiguous;
  if (!fortran_order && !a.flags().row_contiguous) {
    a = io::packed({a})[0];
  }
  out_stream->open();
  check(out_stream->is_open() && out_stream->good(), "save", "Cannot write ", out_stream->label(),
        ".");
  std::string prefix = file_prefix(
      {io::descr_from_dtype(a.dtype()), fortran_order, {a.shape().begin(), a.shape().end()}});
  out_stream->write(prefix.data(), prefix.size());
  out_stream->write(a.data<char>(), a.nbytes());
}

void save(std::string file, array a) {
  auto writer = std::make_shared<io::FileWriter>(io::with_extension(std::move(file), ".npy"));
  save(writer, std::move(a));
  writer->close();
}

}  // namespace mlx::core
