// Quantised matrices and products with them as nodes of the graph. Values lie along the last axis
// as a stream of bits, the first value in the lowest bits of the first word; each group of
// neighbours shares a scale and, in affine mode, a bias.
#pragma once

#include <span>
#include <utility>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/primitives/fallback.h"

namespace mlx::core {

/** How a matrix is stored; which combinations there are stands in mlx/optable/quantized.h. */
struct QuantizedFormat {
  QuantizationMode mode;
  int bits, group_size;

  bool has_biases() const { return mode == QuantizationMode::Affine; }
  /** How many arrays a matrix has besides a global scale. */
  int arrays() const { return has_biases() ? 3 : 2; }
  /** Values that so many words hold, and the other way round; both fit exactly. */
  int values(int words) const { return static_cast<int>(int64_t{words} * 32 / bits); }
  int words(int values) const { return static_cast<int>(int64_t{values} * bits / 32); }

  auto fields() const { return std::tie(mode, bits, group_size); }
};

/**
 * A quantised matrix among a node's inputs: packed words (..., r, k * bits / 32) of uint32, scales
 * (..., r, k / group_size), biases like scales in affine mode, else null, and the global scale or
 * null: float32, of a shape that broadcasts to the batch (...). Scales and biases have the node's
 * floating dtype in affine mode, else scales are uint8: powers of two (e8m0) in mx modes, e4m3 in
 * nvfp4.
 */
struct QuantizedWeight {
  const array &packed, &scales;
  const array *biases, *global_scale;
};

/** The matrix whose arrays are `inputs` from `first` on, in the order of QuantizedWeight. */
QuantizedWeight quantized_weight(const QuantizedFormat& format, std::span<const array> inputs,
                                 size_t first);

/** Inputs w (..., k) of a real floating dtype of up to 32 bits, and a global scale or none. Outputs
 *  packed words, scales, and in affine mode biases. */
class Quantize : public Described<Quantize, FallbackPrimitive> {
 public:
  Quantize(Stream stream, QuantizedFormat format) : Described(stream), format_(format) {}

  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "Quantize"; }
  auto fields() const { return std::tie(format_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  const QuantizedFormat& format() const { return format_; }

 private:
  QuantizedFormat format_;
};

/** Inputs a QuantizedWeight; output its values (..., k) of a dtype. */
class Dequantize : public Described<Dequantize, FallbackPrimitive> {
 public:
  Dequantize(Stream stream, QuantizedFormat format, Dtype dtype)
      : Described(stream), format_(format), dtype_(dtype) {}

  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "Dequantize"; }
  auto fields() const { return std::tie(format_, dtype_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  const QuantizedFormat& format() const { return format_; }
  Dtype dtype() const { return dtype_; }

 private:
  QuantizedFormat format_;
  Dtype dtype_;
};

/**
 * Inputs x (..., m, k) and a QuantizedWeight of n rows of k values (transpose) or of k rows of n;
 * output (..., m, n) of x's dtype. The leading axes broadcast.
 */
class QuantizedMatmul : public Described<QuantizedMatmul, FallbackPrimitive> {
 public:
  QuantizedMatmul(Stream stream, QuantizedFormat format, bool transpose)
      : Described(stream), format_(format), transpose_(transpose) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "QuantizedMatmul"; }
  auto fields() const { return std::tie(format_, transpose_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  const QuantizedFormat& format() const { return format_; }
  bool transpose() const { return transpose_; }

 private:
  QuantizedFormat format_;
  bool transpose_;
};

/**
 * Inputs x (..., m, k), int64 indices into the flattened batches of x and of the weight, both of
 * the output's batch shape, and a QuantizedWeight as of QuantizedMatmul; output (indices..., m, n).
 * `sorted` promises that the weight's indices never fall.
 */
class GatherQuantizedMatmul : public Described<GatherQuantizedMatmul, FallbackPrimitive> {
 public:
  GatherQuantizedMatmul(Stream stream, QuantizedFormat format, bool transpose, bool sorted)
      : Described(stream), format_(format), transpose_(transpose), sorted_(sorted) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "GatherQuantizedMatmul"; }
  bool takes_positions() const override { return true; }
  auto fields() const { return std::tie(format_, transpose_, sorted_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  const QuantizedFormat& format() const { return format_; }
  bool transpose() const { return transpose_; }
  bool sorted() const { return sorted_; }

 private:
  QuantizedFormat format_;
  bool transpose_, sorted_;
};

/**
 * The product of both operands as quantisation leaves them. Inputs x (..., m, k), then w (..., n,
 * k), or its packed words and scales if `packed`, then the global scales of x and of w or neither;
 * output (..., m, n) of x's dtype. Derivatives pass through the rounding of x and w as if there
 * were none.
 */
class QQMatmul : public Described<QQMatmul, FallbackPrimitive> {
 public:
  QQMatmul(Stream stream, QuantizedFormat format, bool packed)
      : Described(stream), format_(format), packed_(packed) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "QQMatmul"; }
  auto fields() const { return std::tie(format_, packed_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  const QuantizedFormat& format() const { return format_; }
  bool packed() const { return packed_; }

 private:
  QuantizedFormat format_;
  bool packed_;
};

/** QQMatmul of matrices that indices pick: inputs as there, with int64 indices into the flattened
 *  batches of x and of the weight after x; output (indices..., m, n). */
class GatherQQMatmul : public Described<GatherQQMatmul, FallbackPrimitive> {
 public:
  GatherQQMatmul(Stream stream, QuantizedFormat format, bool packed, bool sorted)
      : Described(stream), format_(format), packed_(packed), sorted_(sorted) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "GatherQQMatmul"; }
  bool takes_positions() const override { return true; }
  auto fields() const { return std::tie(format_, packed_, sorted_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;
  const QuantizedFormat& format() const { return format_; }
  bool packed() const { return packed_; }
  bool sorted() const { return sorted_; }

 private:
  QuantizedFormat format_;
  bool packed_, sorted_;
};

/** The nodes, built from inputs in their order. */
std::vector<array> quantize_node(const QuantizedFormat& format, std::vector<array> inputs,
                                 Stream s);
array dequantize_node(const QuantizedFormat& format, Dtype dtype, std::vector<array> inputs,
                      Stream s);

}  // namespace mlx::core
