// Rotary position encoding as one node; its derivative is the same rotation backwards.
#pragma once

#include <tuple>

#include "mlx/primitives/described.h"
#include "mlx/primitives/fallback.h"

namespace mlx::core {

/** Pairs of the first `dims` features turn by position * scale * frequency; frequencies are
 *  base^(-2i / dims) unless they are an input. `inverse` turns them back. */
struct RopeSpec {
  int dims;
  bool traditional, inverse, has_freqs;
  float base, scale;

  auto fields() const { return std::tie(dims, traditional, inverse, has_freqs, base, scale); }
};

/**
 * Inputs x (..., length, features) of a floating dtype; the offset of the positions, int32 or
 * int64, whose axes are the first ones of x or of extent 1; and, if there, the float32 inverses of
 * the frequencies (float64 for x of float64). Angles are rounded to that precision, their sine and
 * cosine are good to 1.5 ULP at any size.
 */
class Rope : public Described<Rope, FallbackPrimitive> {
 public:
  Rope(Stream stream, RopeSpec spec) : Described(stream), spec_(spec) {}

  auto fields() const { return std::tie(spec_); }
  Arrays jvp(const Arrays& primals, const Arrays& tangents, const Ints& argnums) override;
  Arrays vjp(const Arrays& primals, const Arrays& cotangents, const Ints& argnums,
             const Arrays& outputs) override;
  Mapped vmap(const Arrays& inputs, const Ints& axes) override;
  Arrays fallback(const Arrays& inputs) const override;
  const char* name() const override { return "RoPE"; }
  std::vector<Shape> output_shapes(const Arrays& inputs) override { return {inputs[0].shape()}; }
  const RopeSpec& spec() const { return spec_; }

 private:
  /** The rotation of x, or back, with the other inputs of `like`. */
  array turned(const array& x, const std::vector<array>& like, bool back) const;

  RopeSpec spec_;
};

/** What both backends walk: `groups` of rows share an offset, and in a group `shared` lists of
 *  `length` rows share their angles. */
struct RopeExtents {
  size_t offset_axes;  // leading axes of x that the offset varies along
  int64_t groups = 1, shared = 1, length, width;

  RopeExtents(const array& x, const array& offset);
};

/** log2 of the ratio between neighbouring frequencies. */
double rope_step(const RopeSpec& spec);

}  // namespace mlx::core
