// Python's file objects as sources and destinations of arrays.
#pragma once

#include <optional>
#include <string>

#include "mlx/io/load.h"
#include "python/src/bindings.h"

namespace mlx::python {

/**
 * Anything with read, seek and tell. It moves the file object only when it reads, so that sources
 * which can hardly seek, such as members of archives, are read in one go. Its methods may be called
 * with or without the GIL, by threads that do no work of a stream.
 */
class PythonFileReader : public io::Reader {
 public:
  /** `size` spares sources that know it the seek to their end. */
  explicit PythonFileReader(nb::object file, std::optional<size_t> size = std::nullopt);
  ~PythonFileReader() override;

  bool is_open() const override;
  bool good() const override { return is_open(); }
  size_t tell() override { return position_; }
  void seek(int64_t off, std::ios_base::seekdir way = std::ios_base::beg) override;
  void read(char* data, size_t n) override;
  void read(char* data, size_t n, size_t offset) override;
  bool reads_anywhere() const override { return false; }
  std::string label() const override { return "file object"; }

  /** Moves the file object to where this reader stands. */
  void move_file();

 private:
  nb::object file_;
  std::optional<size_t> size_;
  size_t position_;       // of this reader
  size_t file_position_;  // of the file object
};

/** The bytes by which the system knows a str or os.PathLike. */
std::string path_bytes(nb::handle path);

/** The path that a str or os.PathLike names; nothing for a file object. Throws TypeError "[op] …"
 * for anything else. */
std::optional<std::string> as_path(nb::handle file, const char* op);

/** The str that stands for such bytes in Python, whether they are text or not. */
nb::object path_object(const std::string& bytes);

/** Anything with write. */
class PythonFileWriter : public io::Writer {
 public:
  explicit PythonFileWriter(nb::object file) : file_(std::move(file)) {}
  ~PythonFileWriter() override;

  bool is_open() const override;
  bool good() const override { return is_open(); }
  size_t tell() override;
  void seek(int64_t off, std::ios_base::seekdir way = std::ios_base::beg) override;
  void write(const char* data, size_t n) override;
  std::string label() const override { return "file object"; }

 private:
  nb::object file_;
};

}  // namespace mlx::python
