// The modes of quantisation, with the bits and group sizes that each of them has. Checks, messages,
// layers and tests take them from here.
#pragma once

#include <span>

#include "mlx/primitives.h"

namespace mlx::core {

/** The values that a parameter may have, and the one it has if none is given. */
struct QuantizationChoices {
  std::span<const int> values;
  int standard;
};

struct QuantizationRow {
  QuantizationMode mode;
  const char* name;
  QuantizationChoices bits, group_sizes;
};

namespace detail {

inline constexpr int affine_bits[] = {1, 2, 3, 4, 5, 6, 8}, four_bits[] = {4}, eight_bits[] = {8};
inline constexpr int affine_groups[] = {16, 32, 64, 128}, mx_groups[] = {32}, nv_groups[] = {16};

}  // namespace detail

/** In the order of QuantizationMode. */
inline constexpr QuantizationRow quantization_table[] = {
    {QuantizationMode::Affine, "affine", {detail::affine_bits, 4}, {detail::affine_groups, 64}},
    {QuantizationMode::Mxfp4, "mxfp4", {detail::four_bits, 4}, {detail::mx_groups, 32}},
    {QuantizationMode::Mxfp8, "mxfp8", {detail::eight_bits, 8}, {detail::mx_groups, 32}},
    {QuantizationMode::Nvfp4, "nvfp4", {detail::four_bits, 4}, {detail::nv_groups, 16}},
};

constexpr const QuantizationRow& quantization_row(QuantizationMode mode) {
  return quantization_table[static_cast<int>(mode)];
}

}  // namespace mlx::core
