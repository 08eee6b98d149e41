// The node that counts.
#pragma once

#include <utility>
#include <vector>

#include "mlx/primitives/described.h"
#include "mlx/primitives/rearrange.h"

namespace mlx::core {

/** start + i * step, as often as the output's shape says. Integer dtypes count in integers, from
 * both truncated; the others are computed in double and rounded once. */
class Arange : public Described<Arange> {
 public:
  Arange(Stream s, double start, double step) : Described(s), start_(start), step_(step) {}
  const char* name() const override { return "Arange"; }
  auto fields() const { return std::tie(start_, step_); }
  double start() const { return start_; }
  double step() const { return step_; }

 private:
  double start_;
  double step_;
};

}  // namespace mlx::core
