// Reading an array's bytes from a source when the array is evaluated.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "mlx/io/load.h"
#include "mlx/primitives.h"

namespace mlx::core {

/** No inputs; the output's elements in row-major order, from byte `offset` of the reader. */
class Load : public BuiltinPrimitive {
 public:
  explicit Load(Stream stream, std::shared_ptr<io::Reader> reader, size_t offset,
                bool swap_endianness = false)
      : BuiltinPrimitive(stream),
        reader_(std::move(reader)),
        offset_(offset),
        swap_endianness_(swap_endianness) {}

  void eval_cpu(const std::vector<array>& inputs, std::vector<array>& outputs) override;
  const char* name() const override { return "Load"; }
  bool is_equivalent(const Primitive& other) const override;

 private:
  std::shared_ptr<io::Reader> reader_;
  size_t offset_;
  bool swap_endianness_;
};

}  // namespace mlx::core
