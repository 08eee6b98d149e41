// What the fuzzers share: files that are bytes in memory, and what reading one may come to.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "mlx/core/byte_streams.h"
#include "mlx/core/errors.h"
#include "mlx/mlx.h"

namespace mlx::core::fuzz {

/** Ends the process, so that the fuzzer keeps the input. */
[[noreturn]] inline void report(const std::string& what) {
  std::fprintf(stderr, "fuzzer: %s\n", what.c_str());
  std::abort();
}

class BytesReader : public io::Reader {
 public:
  BytesReader(const uint8_t* data, size_t size, bool anywhere)
      : bytes_(data, data + size), anywhere_(anywhere) {}

  bool is_open() const override { return true; }
  bool good() const override { return true; }
  size_t tell() override { return position_; }
  void seek(int64_t off, std::ios_base::seekdir way) override {
    auto origin = way == std::ios_base::cur   ? static_cast<int64_t>(position_)
                  : way == std::ios_base::end ? static_cast<int64_t>(bytes_.size())
                                              : 0;
    if (origin + off < 0) {
      report("a seek to before the start");
    }
    position_ = static_cast<size_t>(origin + off);
  }
  void read(char* data, size_t n) override {
    read(data, n, position_);
    position_ += n;
  }
  void read(char* data, size_t n, size_t offset) override {
    if (offset > bytes_.size() || n > bytes_.size() - offset) {
      report("a read past the end, which the header should have been checked for");
    }
    std::copy_n(bytes_.data() + offset, n, data);
  }
  bool reads_anywhere() const override { return anywhere_; }
  std::string label() const override { return "bytes"; }

 private:
  std::vector<uint8_t> bytes_;
  bool anywhere_;
  size_t position_ = 0;
};

class BytesWriter : public io::Writer {
 public:
  bool is_open() const override { return true; }
  bool good() const override { return true; }
  size_t tell() override { return bytes.size(); }
  void seek(int64_t, std::ios_base::seekdir) override { report("a writer that seeks"); }
  void write(const char* data, size_t n) override { bytes.insert(bytes.end(), data, data + n); }
  std::string label() const override { return "bytes"; }

  std::vector<uint8_t> bytes;
};

/** Runs f, which may refuse the file and nothing else. Returns whether it took it. */
template <typename F>
bool taken(const F& f) {
  try {
    f();
    return true;
  } catch (const OutOfMemory& e) {
    report(std::string("memory out of proportion to the file: ") + e.what());
  } catch (const std::runtime_error&) {
  } catch (const std::invalid_argument&) {
  }
  return false;
}

inline bool same(const array& a, const array& b) {
  array x = contiguous(a, false), y = contiguous(b, false);
  eval(x, y);
  return x.dtype() == y.dtype() && x.shape() == y.shape() &&
         std::equal(x.data<char>(), x.data<char>() + x.nbytes(), y.data<char>());
}

}  // namespace mlx::core::fuzz
