// Reading an array's bytes from a source when the array is evaluated.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "mlx/core/byte_streams.h"
#include "mlx/primitives/described.h"

namespace mlx::core {

/** No inputs; the output's elements in row-major order, from byte `offset` of the reader. */
class Load : public Described<Load> {
 public:
  explicit Load(Stream stream, std::shared_ptr<io::Reader> reader, size_t offset,
                bool swap_endianness = false)
      : Described(stream),
        reader_(std::move(reader)),
        offset_(offset),
        swap_endianness_(swap_endianness) {}

  const char* name() const override { return "Load"; }
  auto fields() const { return std::tie(reader_, offset_, swap_endianness_); }
  io::Reader& reader() const { return *reader_; }
  size_t offset() const { return offset_; }
  bool swap_endianness() const { return swap_endianness_; }

 private:
  std::shared_ptr<io::Reader> reader_;
  size_t offset_;
  bool swap_endianness_;
};

}  // namespace mlx::core
