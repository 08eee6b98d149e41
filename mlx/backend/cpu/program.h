// Runs fused programs on the CPU: an interpreter over tiles that stay in the first-level cache, one
// kernel call per instruction and tile, split over threads.
#pragma once

#include <memory>
#include <vector>

#include "mlx/array.h"
#include "mlx/core/program.h"

namespace mlx::core::cpu {

/**
 * Computes the program's outputs. Inputs are evaluated arrays of the program's dtypes whose shapes
 * broadcast to the shape that all outputs have; any strides. Allocates the outputs, or lets them
 * take over the buffer of an input that is_donatable(). The outputs are row contiguous, or share
 * the layout of the inputs where those agree on another dense one.
 */
void run_program(const Program& program, const std::vector<array>& inputs,
                 std::vector<array>& outputs);

/** A program of one output as the source of another kernel: any piece of it, computed on demand. */
class ProgramSource {
 public:
  struct FirstIsGiven {};
  static constexpr FirstIsGiven first_is_given{};

  /** Keeps references to the program and the inputs, which broadcast to `shape`. */
  ProgramSource(const Program& program, const std::vector<array>& inputs, const Shape& shape);
  /** The same without the program's first input, of which each read is given the piece. */
  ProgramSource(const Program& program, const std::vector<array>& others, const Shape& shape,
                FirstIsGiven);
  ~ProgramSource();

  /** Writes the elements [begin, begin + count) in row-major order to `out`, which does not overlap
   *  an input. May be called from several threads at once. */
  void read(int64_t begin, int64_t count, void* out) const;

  /** The same with these elements of the first input. `out` may be `first` where an output of the
   *  program could take over its buffer. */
  void read(int64_t begin, int64_t count, const void* first, void* out) const;

 private:
  class Reader;
  std::unique_ptr<Reader> reader_;
};

/** One op as a program: dtypes from the arrays. */
void run_elementwise(ElementwiseOp op, const std::vector<array>& inputs,
                     std::vector<array>& outputs);

}  // namespace mlx::core::cpu
