// The loop of recurrent layers, for the layers of mlx.nn; no part of the public interface.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core::detail {

/**
 * All hidden states (..., L, H) of a recurrent layer, and all cell states for "lstm". `kind` is
 * "lstm", "gru", "rnn_tanh" or "rnn_relu"; `projections` (..., L, gates H) is what the inputs bring
 * to each step, `weight` (gates H, H) multiplies the hidden state. The GRU may have a `bias` (H) on
 * the hidden side of its candidate; `hidden` and the LSTM's `cell` (..., H) start from zeros if not
 * given. Leading axes broadcast and dtypes promote. Throws std::invalid_argument for shapes that
 * don't fit and for dtypes that aren't floating.
 */
std::vector<array> recurrent(const std::string& kind, const array& projections, const array& weight,
                             const std::optional<array>& bias, const std::optional<array>& hidden,
                             const std::optional<array>& cell, StreamOrDevice s = {});

}  // namespace mlx::core::detail
