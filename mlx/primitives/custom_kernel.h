// A kernel of the user's as a node: text that is compiled, or machine code, for GPUs alone.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "mlx/primitives/described.h"

namespace mlx::core {

/** What a kernel's text asks to know of an input besides where it is. */
enum class KernelFact : uint8_t { none = 0, shape = 1, strides = 2, ndim = 4 };

inline constexpr bool asks_for(int facts, KernelFact fact) {
  return (facts & static_cast<int>(fact)) != 0;
}

/** Extents or strides of so many axes are handed to a kernel. */
inline constexpr int kernel_axes = 10;

/** How a kernel is started: the grid in threads and the block's extents, the bytes of shared
 * memory, what outputs hold before (nothing in particular if not given), and whether inputs have to
 * be row contiguous. */
struct KernelStart {
  std::array<int, 3> grid, threadgroup;
  int shared_memory = 0;
  std::optional<float> init_value;
  bool row_contiguous = false;

  auto fields() const {
    return std::tie(grid, threadgroup, shared_memory, init_value, row_contiguous);
  }
};

/**
 * A kernel from the text around a user's source. Its argument is one struct: for each input its
 * address and the facts that `facts` has for it, then the outputs' addresses.
 */
class CustomKernel : public Described<CustomKernel> {
 public:
  CustomKernel(Stream stream, std::string function, std::string text, std::vector<int> facts,
               KernelStart start)
      : Described(stream),
        function_(std::move(function)),
        text_(std::move(text)),
        facts_(std::move(facts)),
        start_(start) {}

  const char* name() const override { return "CustomKernel"; }
  auto fields() const { return std::tie(function_, text_, facts_, start_); }
  const std::string& function() const { return function_; }
  const std::string& text() const { return text_; }
  const std::vector<int>& facts() const { return facts_; }
  const KernelStart& start() const { return start_; }

 private:
  std::string function_, text_;
  std::vector<int> facts_;
  KernelStart start_;
};

/** A scalar argument as its bytes: 1 of a bool, 4 of an int or a float. */
struct KernelScalar {
  uint32_t bits;
  int bytes;

  auto fields() const { return std::tie(bits, bytes); }
};

/** A kernel of PTX or machine code, whose arguments are the addresses of the inputs and of the
 *  outputs, and then the scalars. */
class PrecompiledKernel : public Described<PrecompiledKernel> {
 public:
  PrecompiledKernel(Stream stream, std::string function, std::string code,
                    std::vector<KernelScalar> scalars, KernelStart start)
      : Described(stream),
        function_(std::move(function)),
        code_(std::move(code)),
        scalars_(std::move(scalars)),
        start_(start) {}

  const char* name() const override { return "PrecompiledKernel"; }
  auto fields() const { return std::tie(function_, code_, scalars_, start_); }
  const std::string& function() const { return function_; }
  const std::string& code() const { return code_; }
  const std::vector<KernelScalar>& scalars() const { return scalars_; }
  const KernelStart& start() const { return start_; }

 private:
  std::string function_, code_;
  std::vector<KernelScalar> scalars_;
  KernelStart start_;
};

}  // namespace mlx::core
