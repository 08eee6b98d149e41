// Calls into Python's file protocol.
#include "python/src/python_file.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "mlx/core/faults.h"
#include "python/src/gil.h"

namespace mlx::python {

namespace {

/** Bytes per call of read or write: bounds the copy that Python makes. */
constexpr size_t chunk_size = 16 << 20;

bool is_file_open(const nb::object& file) {
  Locked locked;
  return !nb::cast<bool>(nb::getattr(file, "closed", nb::bool_(false)));
}

size_t file_tell(const nb::object& file) {
  return nb::cast<size_t>(call_python(file.attr("tell")));
}

int whence(std::ios_base::seekdir way) {
  return way == std::ios_base::beg ? 0 : way == std::ios_base::cur ? 1 : 2;
}

}  // namespace

std::string path_bytes(nb::handle path) {
  nb::object name = nb::module_::import_("os").attr("fsencode")(path);
  auto bytes = nb::borrow<nb::bytes>(name);
  return {bytes.c_str(), bytes.size()};
}

std::optional<std::string> as_path(nb::handle file, const char* op) {
  if (nb::isinstance<nb::str>(file) || nb::hasattr(file, "__fspath__")) {
    return path_bytes(file);
  }
  if (!nb::hasattr(file, "read") && !nb::hasattr(file, "write")) {
    std::string message = std::string("[") + op + "] Expected a path or a file object.";
    throw nb::type_error(message.c_str());
  }
  return std::nullopt;
}

nb::object path_object(const std::string& bytes) {
  return nb::steal(
      PyUnicode_DecodeFSDefaultAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
}

PythonFileReader::PythonFileReader(nb::object file, std::optional<size_t> size)
    : file_(std::move(file)), size_(size), position_(file_tell(file_)), file_position_(position_) {}

PythonFileReader::~PythonFileReader() {
  Locked locked;
  file_.reset();
}

bool PythonFileReader::is_open() const { return is_file_open(file_); }

void PythonFileReader::seek(int64_t off, std::ios_base::seekdir way) {
  int64_t origin = way == std::ios_base::cur ? static_cast<int64_t>(position_) : 0;
  if (way == std::ios_base::end) {
    if (!size_) {
      Locked locked;
      call_python(file_.attr("seek"), 0, whence(way));
      size_ = file_position_ = file_tell(file_);
    }
    origin = static_cast<int64_t>(*size_);
  }
  if (origin + off < 0) {
    throw std::runtime_error("[load] Cannot seek before the start of " + label());
  }
  position_ = static_cast<size_t>(origin + off);
}

void PythonFileReader::move_file() {
  if (file_position_ != position_) {
    Locked locked;
    call_python(file_.attr("seek"), position_);
    file_position_ = position_;
  }
}

void PythonFileReader::read(char* data, size_t n) {
  Locked locked;
  move_file();
  while (n > 0) {
    nb::object piece = call_python(file_.attr("read"), std::min(n, chunk_size));
    if (!nb::isinstance<nb::bytes>(piece)) {
      throw std::invalid_argument("[load] The file object must be opened in binary mode.");
    }
    auto bytes = nb::borrow<nb::bytes>(piece);
    if (bytes.size() == 0 || bytes.size() > n) {
      throw std::runtime_error("[load] Unexpected end of " + label());
    }
    std::memcpy(data, bytes.c_str(), bytes.size());
    data += bytes.size();
    n -= bytes.size();
    position_ += bytes.size();
    file_position_ = position_;
  }
}

void PythonFileReader::read(char* data, size_t n, size_t offset) {
  size_t position = position_;
  position_ = offset;
  read(data, n);
  position_ = position;
}

PythonFileWriter::~PythonFileWriter() {
  Locked locked;
  file_.reset();
}

bool PythonFileWriter::is_open() const { return is_file_open(file_); }

size_t PythonFileWriter::tell() {
  Locked locked;
  return file_tell(file_);
}

void PythonFileWriter::seek(int64_t off, std::ios_base::seekdir way) {
  Locked locked;
  call_python(file_.attr("seek"), off, whence(way));
}

void PythonFileWriter::write(const char* data, size_t n) {
  Locked locked;
  for (size_t done = 0; done < n;) {
    size_t count = std::min(n - done, chunk_size);
    if (core::faults::strikes(core::faults::Point::write)) {
      PyErr_SetFromErrno(PyExc_OSError);
      throw nb::python_error();
    }
    nb::object written = call_python(file_.attr("write"), nb::bytes(data + done, count));
    // Unbuffered files may take less than they are given.
    size_t taken = written.is_none() ? count : nb::cast<size_t>(written);
    if (taken == 0 || taken > count) {
      throw std::runtime_error("[save] Cannot write " + label());
    }
    done += taken;
  }
}

}  // namespace mlx::python
