// Fused ops, mlx.core.fast.
#include "mlx/fast.h"

#include "python/src/def_op.h"

namespace mlx::python {

namespace {

void bind_norms(nb::module_& m) {
  m.def("rms_norm", &fast::rms_norm, "x"_a, "weight"_a.none(), "eps"_a, nb::kw_only(),
        "stream"_a = nb::none(),
        "x divided by the root of its mean square over the last axis, times the weight.");
  m.def("layer_norm", &fast::layer_norm, "x"_a, "weight"_a.none(), "bias"_a.none(), "eps"_a,
        nb::kw_only(), "stream"_a = nb::none(),
        "x brought to mean 0 and variance 1 over the last axis, times the weight, plus the bias.");
}

array rotate(const array& a, int dims, bool traditional, std::optional<float> base, float scale,
             Operand offset, const std::optional<array>& freqs, StreamOrDevice s) {
  int position;
  if (!as_array(offset.object) && load_int(offset.object, position)) {
    return fast::rope(a, dims, traditional, base, scale, position, freqs, s);
  }
  return fast::rope(a, dims, traditional, base, scale, to_array(offset), freqs, s);
}

array attend(const array& q, const array& k, const array& v, float scale, nb::handle mask,
             const std::optional<array>& sinks, bool force_fused, StreamOrDevice s) {
  if (nb::isinstance<nb::str>(mask)) {
    return fast::scaled_dot_product_attention(q, k, v, scale, nb::cast<std::string>(mask), {},
                                              sinks, force_fused, s);
  }
  std::optional<array> mask_array;
  if (!mask.is_none()) {
    mask_array = to_array(Operand{mask.ptr()});
  }
  return fast::scaled_dot_product_attention(q, k, v, scale, "", mask_array, sinks, force_fused, s);
}

void bind_attention(nb::module_& m) {
  m.def(
      "rope", &rotate, "a"_a, "dims"_a, nb::kw_only(), "traditional"_a, "base"_a.none(), "scale"_a,
      "offset"_a, "freqs"_a = nb::none(), "stream"_a = nb::none(),
      "Rotary position encoding of the first `dims` features of (…, T, D). Pairs are neighbours "
      "if\n"
      "`traditional`, else halves apart. Angles come from `base` or from `freqs`; `offset` is an\n"
      "int or an array of one per batch entry.");
  m.def("scaled_dot_product_attention", &attend, "q"_a, "k"_a, "v"_a, nb::kw_only(), "scale"_a,
        "mask"_a = nb::none(), "sinks"_a = nb::none(), "force_fused"_a = false,
        "stream"_a = nb::none(),
        "softmax(scale * q @ k^T + mask) @ v for (B, heads, T, D); fewer heads of k and v are\n"
        "shared. The mask is 'causal', a bool array (True: attend) or an array to add.");
  m.def("cross_entropy", &fast::cross_entropy, "logits"_a, "targets"_a, nb::kw_only(),
        "stream"_a = nb::none(),
        "-log softmax(logits) at integer targets, over the last axis of the logits.");
}

void bind_recurrences(nb::module_& m) {
  m.def(
      "gated_delta_update", &fast::gated_delta_update, "q"_a, "k"_a, "v"_a, "gamma"_a, "beta"_a,
      "initial_state"_a = nb::none(), "mask"_a = nb::none(), "stream"_a = nb::none(),
      "The gated delta rule over q and k (B, T, H, D) and v (B, T, G, E). In each step a state\n"
      "(B, G, E, D) decays by `gamma` (B, T, G) or (B, T, G, D), learns `beta` (B, T, G) of what\n"
      "separates v from its answer to k, and answers q. Returns the answers (B, T, G, E) and\n"
      "the last state, float32. Steps where `mask` (B, T) is false answer 0 and are left out.");
}

}  // namespace

void bind_fast(nb::module_& parent) {
  auto m = parent.def_submodule("fast", "Fused versions of common pieces of models.");
  bind_norms(m);
  bind_attention(m);
  bind_recurrences(m);
  bind_metal_kernel(m);
  bind_cuda_kernel(m);
}

}  // namespace mlx::python
