// Fused versions of what models do most.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

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
// only. Half types sum in float32. Kernels that multiply bf16 (AMX, AVX512-BF16, tensor cores)
// round each weight to it for the product with v: an error of at most 2^-9 of the sum of weights
// times |v|.
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

// ---- kernels of your own

/** What a name stands for in a kernel's source: a number, a truth value, or an element type. */
using TemplateArg = std::variant<int, bool, Dtype>;
/** An argument of a kernel that is no array. */
using ScalarArg = std::variant<bool, int, float>;
/** Options of Metal's compiler, by name. */
using CompileOptions = std::unordered_map<std::string, std::variant<bool, int, std::string>>;

/**
 * A kernel: f(inputs, output_shapes, output_dtypes, grid, threadgroup, template_args, init_value,
 * verbose, stream). The grid is in threads, as many as threadgroups cover; threads of the last ones
 * past it run, too. `init_value` is what outputs hold before, `verbose` prints the text. Throws
 * std::invalid_argument for what does not fit, std::runtime_error where there is no such GPU, and
 * at evaluation with the compiler's words if the source does not compile.
 */
using CustomKernelFunction = std::function<std::vector<array>(
    const std::vector<array>&, const std::vector<Shape>&, const std::vector<Dtype>&,
    std::tuple<int, int, int>, std::tuple<int, int, int>,
    std::vector<std::pair<std::string, TemplateArg>>, std::optional<float>, bool, StreamOrDevice)>;

/** A kernel for Apple's GPUs; calling it throws std::runtime_error: there is no Metal. */
CustomKernelFunction metal_kernel(const std::string& name,
                                  const std::vector<std::string>& input_names,
                                  const std::vector<std::string>& output_names,
                                  const std::string& source, const std::string& header = "",
                                  bool ensure_row_contiguous = true, bool atomic_outputs = false,
                                  const CompileOptions& compile_options = {});

/**
 * A kernel whose body is `source`, CUDA C++ in which inputs and outputs are pointers to their
 * elements (`__half`, `__nv_bfloat16` and `complex64_t` and `complex128_t` among them) by the names
 * given. Where the source says `x_shape`, `x_strides` or `x_ndim`, it gets those of the input `x`;
 * elem_to_loc(i, x_shape.data(), x_strides.data(), x_ndim) is where element i lies. `header` comes
 * before the kernel. Inputs are row contiguous unless that is not asked for. `shared_memory` is in
 * bytes.
 */
CustomKernelFunction cuda_kernel(const std::string& name,
                                 const std::vector<std::string>& input_names,
                                 const std::vector<std::string>& output_names,
                                 const std::string& source, const std::string& header = "",
                                 bool ensure_row_contiguous = true, int shared_memory = 0);

/** Runs the kernel `name` of PTX or machine code, which takes the addresses of the inputs, of the
 *  outputs, and the scalars. Otherwise as above. */
std::vector<array> precompiled_cuda_kernel(
    const std::string& name, const std::string& compiled_source, const std::vector<array>& inputs,
    const std::vector<Shape>& output_shapes, const std::vector<Dtype>& output_dtypes,
    const std::vector<ScalarArg>& scalars, std::tuple<int, int, int> grid,
    std::tuple<int, int, int> threadgroup, int shared_memory = 0,
    std::optional<float> init_value = std::nullopt, bool ensure_row_contiguous = false,
    StreamOrDevice s = {});

}  // namespace mlx::core::fast
