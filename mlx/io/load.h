// Files as sources and destinations of bytes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "mlx/core/byte_streams.h"
#include "mlx/core/function_ref.h"

namespace mlx::core::io {

/** The threads that read files in parallel: those that everything else runs on, too. */
class ThreadPool {
 public:
  int size() const;
  /** Runs f(begin, end) over disjoint ranges that cover [0, n) and waits for all of them. */
  void run(int64_t n, int64_t grain, FunctionRef<void(int64_t begin, int64_t end)> f);
};

ThreadPool& thread_pool();

/** Bytes that were read from a source that does not read anywhere. */
class MemoryReader : public Reader {
 public:
  MemoryReader(Reader& source, size_t offset, size_t bytes)
      : label_(source.label()), bytes_(bytes), data_(new char[bytes]) {
    source.read(data_.get(), bytes, offset);
  }

  bool is_open() const override { return true; }
  bool good() const override { return true; }
  size_t tell() override { return position_; }
  void seek(int64_t off, std::ios_base::seekdir way = std::ios_base::beg) override;
  void read(char* data, size_t n) override;
  void read(char* data, size_t n, size_t offset) override;
  std::string label() const override { return label_; }

 private:
  std::string label_;
  size_t bytes_;
  std::unique_ptr<char[]> data_;
  size_t position_ = 0;
};

/** A file; large reads are split over the thread pool. Not open if there is no such file. */
class ParallelFileReader : public Reader {
 public:
  explicit ParallelFileReader(std::string file_path);
  ~ParallelFileReader() override;
  ParallelFileReader(const ParallelFileReader&) = delete;
  ParallelFileReader& operator=(const ParallelFileReader&) = delete;

  bool is_open() const override { return fd_ >= 0; }
  bool good() const override { return is_open(); }
  size_t tell() override { return position_; }
  void seek(int64_t off, std::ios_base::seekdir way = std::ios_base::beg) override;
  void read(char* data, size_t n) override;
  void read(char* data, size_t n, size_t offset) override;
  std::string label() const override { return "file " + path_; }

 private:
  std::string path_;
  int fd_;
  size_t position_ = 0;
};

/**
 * A file that appears under its name only when it is complete: bytes go to a temporary file beside
 * it, which takes its place on `close`, or on destruction if all writes went well. Until then the
 * file of that name is not touched; its mode and links to it stay. Pipes and devices are written
 * directly.
 */
class FileWriter : public Writer {
 public:
  /** No file. */
  FileWriter() = default;
  explicit FileWriter(std::string file_path) : path_(std::move(file_path)) {}
  FileWriter(FileWriter&& other) noexcept;
  ~FileWriter() override;
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  /** Throws std::runtime_error if the file cannot be made. */
  void open() override;
  bool is_open() const override { return fd_ >= 0; }
  bool good() const override { return is_open() && !failed_; }
  size_t tell() override { return position_; }
  void seek(int64_t off, std::ios_base::seekdir way = std::ios_base::beg) override;
  /** Opens the file if need be. Throws std::runtime_error, say when the disk is full; the old file
   *  then stays. */
  void write(const char* data, size_t n) override;
  std::string label() const override { return "file " + path_; }

  /** Puts the file in its place. Throws std::runtime_error if that fails. */
  void close();

  /** The open file, for writers that know nothing of this class. */
  int descriptor() const { return fd_; }

 private:
  /** With the mode of the file that it is to replace, or that of new files. */
  void open_temporary(std::optional<mode_t> mode);
  void discard();

  std::string path_;
  std::string target_;     // path_ with links followed
  std::string temporary_;  // empty when target_ is written directly
  int fd_ = -1;
  size_t position_ = 0;
  bool failed_ = false;
};

/** All the bytes that the reader has, from its beginning. */
size_t source_size(Reader& reader);

}  // namespace mlx::core::io
