// Fused versions of what models do most.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <functional>
#include <tuple>
#include <variant>
#include "mlx/array.h"
#include "mlx/utils.h"

namespace mlx::core::fast {

// x / sqrt(mean(x^2) + eps) * weight over the last axis. One node with its own backward; half types
// compute in float32. The result has the promoted floating dtype of x and weight.
array rms_norm(const array& x, const std::optional<array>& weight, float eps,
               StreamOrDevice s = {});
// (x - mean) / sqrt(var + eps) * weight + bias over the last axis, as rms_norm.
array layer_norm(const array& x, const std::optional<array>& weight,
                 const std::optional<array>& bias, float eps, StreamOrDevice s = {});
// logsumexp(logits) - logits[target] over the last axis; targets are integers of shape
// logits.shape[:-1]. A target outside the classes counts as a logit of 0. One node, as its
// gradient; the losses of half types are float32.
array cross_entropy(const array& logits, const array& targets, StreamOrDevice s = {});
// Rotates pairs of the first `dims` features of x (batch, ..., length, features) by their position
// plus `offset` (one, or one per batch) times `scale`, at frequencies base^(-2i / dims) or 1 /
// freqs. Pairs are neighbours if `traditional`, else half of dims apart.
array rope(const array& x, int dims, bool traditional, std::optional<float> base, float scale,
           int offset, const std::optional<array>& freqs = std::nullopt, StreamOrDevice s = {});
array rope(const array& x, int dims, bool traditional, std::optional<float> base, float scale,
           const array& offset, const std::optional<array>& freqs = std::nullopt,
           StreamOrDevice s = {});
// softmax(scale * q k^T + mask) v for q (B, H, L, D), k (B, K, S, D), v (B, K, S, E), H a multiple
// of K. The mask is "causal" (aligned at the end), boolean (true: look), or added; a row that masks
// all keys takes their mean. `sinks` (H): one more score per head that takes part in the softmax
// only.
array scaled_dot_product_attention(const array& queries, const array& keys, const array& values,
                                   const float scale, const std::string& mask_mode = "",
                                   std::optional<array> mask_arr = {},
                                   const std::optional<array>& sinks = {}, bool force_fused = false,
                                   StreamOrDevice s = {});
// The gated delta rule over queries and keys (B, T, H, D) and values (B, T, G, E), H dividing G. In
// each step the state S (B, G, E, D) decays to S' = S gate, learns S = S' + beta (v - S' k) k^T and
// answers S q. Gates are (B, T, G) or (B, T, G, D), beta (B, T, G); masked steps, where mask (B, T)
// is false, answer 0 and leave the state. Computes in float32. Returns the answers (B, T, G, E) in
// the promoted dtype of queries, keys and values, and the last state, float32.
std::vector<array> gated_delta_update(const array& queries, const array& keys, const array& values,
                                      const array& gates, const array& beta_,
                                      const std::optional<array>& initial_state = std::nullopt,
                                      const std::optional<array>& mask = std::nullopt,
                                      StreamOrDevice s = {});

}  // namespace mlx::core::fast
