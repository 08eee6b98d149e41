// Fourier transforms as nodes of the graph: along one axis, and along several at once.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/primitives/fallback.h"

namespace mlx::core {

/**
 * Input: (…, L, …). Output of the axis: `n` for complex transforms, n / 2 + 1 for `to_half`, n real
 * numbers for `from_half`. The input counts as padded with zeros or cut off to the length that the
 * transform takes: n, or n / 2 + 1 for `from_half`.
 */
class FFT : public Described<FFT> {
 public:
  enum class Kind {
    full,       // real or complex to complex
    to_half,    // real to the half that determines the rest; always forward
    from_half,  // the reverse; always inverse
  };

  explicit FFT(Stream stream, Kind kind, int axis, int n, bool inverse, double scale)
      : Described(stream), kind_(kind), axis_(axis), n_(n), inverse_(inverse), scale_(scale) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  const char* name() const override { return "FFT"; }
  auto fields() const { return std::tie(kind_, axis_, n_, inverse_, scale_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

  /** The node; `a` is real (float32, float64; not for from_half) or complex. */
  static array apply(const array& a, Kind kind, int axis, int n, bool inverse, double scale,
                     Stream stream);

  Kind kind() const { return kind_; }
  int axis() const { return axis_; }
  int n() const { return n_; }
  bool inverse() const { return inverse_; }
  double scale() const { return scale_; }

 private:
  Kind kind_;
  int axis_;
  int n_;
  bool inverse_;
  double scale_;
};

/**
 * Transforms along two axes or more. One of half a spectrum halves the last of `axes`: `to_half`
 * begins with that one and `from_half` ends with it, and the others are full. Lengths and scales
 * are those of the axes. The plain form takes axis by axis, from the last on.
 */
class FFTN : public Described<FFTN, FallbackPrimitive> {
 public:
  explicit FFTN(Stream stream, FFT::Kind kind, std::vector<int> axes, Shape lengths, bool inverse,
                std::vector<double> scales)
      : Described(stream),
        kind_(kind),
        axes_(std::move(axes)),
        lengths_(std::move(lengths)),
        inverse_(inverse),
        scales_(std::move(scales)) {}

  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "FFTN"; }
  auto fields() const { return std::tie(kind_, axes_, lengths_, inverse_, scales_); }
  std::vector<Shape> output_shapes(const Arrays& inputs) override;

  /** The node, or that of one axis; `a` as for FFT. */
  static array apply(const array& a, FFT::Kind kind, const std::vector<int>& axes,
                     const Shape& lengths, bool inverse, const std::vector<double>& scales,
                     Stream stream);

  /** The transforms along one axis that it is made of, in order. */
  std::vector<std::shared_ptr<FFT>> steps() const;

  FFT::Kind kind() const { return kind_; }
  const std::vector<int>& axes() const { return axes_; }
  const Shape& lengths() const { return lengths_; }
  bool inverse() const { return inverse_; }
  /** Of all axes together. */
  double scale() const;

 private:
  FFT::Kind kind_;
  std::vector<int> axes_;
  Shape lengths_;
  bool inverse_;
  std::vector<double> scales_;
};

}  // namespace mlx::core
