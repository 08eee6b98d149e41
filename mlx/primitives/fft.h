// A Fourier transform along one axis as a node of the graph; several axes are several nodes.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"

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

}  // namespace mlx::core
