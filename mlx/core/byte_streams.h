// Where bytes of files come from and go to. Formats are written against Reader and Writer; files
// on disk are one kind of them, and callers can bring their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ios>
#include <string>

namespace mlx::core::io {

/** A source of bytes with a position. Arrays that are loaded lazily keep it alive. */
class Reader {
 public:
  virtual ~Reader() = default;
  virtual bool is_open() const = 0;
  virtual bool good() const = 0;
  virtual size_t tell() = 0;
  virtual void seek(int64_t off, std::ios_base::seekdir way = std::ios_base::beg) = 0;
  /** The next n bytes. Throws std::runtime_error if there are fewer. */
  virtual void read(char* data, size_t n) = 0;
  /** n bytes from an offset, without moving the position. */
  virtual void read(char* data, size_t n, size_t offset) = 0;
  /** Whether reading from an offset may be done later and by any thread. The bytes of other sources
   *  are read when their arrays are loaded. */
  virtual bool reads_anywhere() const { return true; }
  /** What messages call this source: `file NAME`. */
  virtual std::string label() const = 0;
};

/** A destination of bytes. */
class Writer {
 public:
  virtual ~Writer() = default;
  virtual bool is_open() const = 0;
  virtual bool good() const = 0;
  virtual size_t tell() = 0;
  virtual void seek(int64_t off, std::ios_base::seekdir way = std::ios_base::beg) = 0;
  virtual void write(const char* data, size_t n) = 0;
  virtual std::string label() const = 0;
  /** Called before the first write, once all that is to be written has been computed. */
  virtual void open() {}
};

}  // namespace mlx::core::io
