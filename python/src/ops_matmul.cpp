// Matrix products in all their forms.
#include "mlx/core/errors.h"
#include "mlx/einsum.h"
#include "python/src/def_op.h"

namespace mlx::python {

namespace {

array tensordot_by(const array& a, const array& b, nb::handle axes, StreamOrDevice s) {
  int count;
  if (load_int(axes.ptr(), count)) {
    return tensordot(a, b, count, s);
  }
  std::vector<std::vector<int>> lists;
  if (!nb::try_cast(axes, lists) || lists.size() != 2) {
    throw nb::type_error("tensordot() takes an int or two lists of axes.");
  }
  return tensordot(a, b, lists[0], lists[1], s);
}

std::vector<array> operands_of(const nb::args& args) {
  std::vector<array> out;
  for (nb::handle h : args) {
    out.push_back(to_array(Operand{h.ptr()}));
  }
  return out;
}

void bind_einsum(nb::module_& m) {
  m.def(
      "einsum",
      [](const std::string& subscripts, const nb::args& operands, StreamOrDevice s) {
        return einsum(subscripts, operands_of(operands), s);
      },
      "subscripts"_a, "operands"_a, "stream"_a = nb::none(),
      "The sum of products that an Einstein subscript string describes, as 'ij,jk->ik'.");
  m.def(
      "einsum_path",
      [](const std::string& subscripts, const nb::args& operands) {
        auto [path, report] = einsum_path(subscripts, operands_of(operands));
        nb::list steps;
        for (auto& step : path) {
          steps.append(nb::tuple(nb::cast(step)));
        }
        return nb::make_tuple(steps, report);
      },
      "subscripts"_a, "operands"_a,
      "The order in which `einsum` contracts its operands, and a report of the costs.");
}

void bind_picked_products(nb::module_& m) {
  m.def(
      "gather_mm",
      [](const array& a, const array& b, std::optional<array> lhs, std::optional<array> rhs,
         bool sorted,
         StreamOrDevice s) { return gather_mm(a, b, std::move(lhs), std::move(rhs), sorted, s); },
      "a"_a, "b"_a, "lhs_indices"_a = nb::none(), "rhs_indices"_a = nb::none(), nb::kw_only(),
      "sorted_indices"_a = false, "stream"_a = nb::none(),
      "Products of matrices picked from the flattened batches of `a` and `b` by indices, which\n"
      "broadcast together to the batch of the result. Without indices all matrices in order. A\n"
      "wrong index raises IndexError when the result is evaluated.");
  m.def(
      "segmented_mm",
      [](const array& a, const array& b, const array& segments, StreamOrDevice s) {
        return segmented_mm(a, b, segments, s);
      },
      "a"_a, "b"_a, "segments"_a, nb::kw_only(), "stream"_a = nb::none(),
      "One product of (m, k) by (k, n) for every range [begin, end) of k in `segments` (..., 2).");
  m.def(
      "block_masked_mm",
      [](const array& a, const array& b, int block_size, std::optional<array> mask_out,
         std::optional<array> mask_lhs, std::optional<array> mask_rhs, StreamOrDevice s) {
        return block_masked_mm(a, b, block_size, std::move(mask_out), std::move(mask_lhs),
                               std::move(mask_rhs), s);
      },
      "a"_a, "b"_a, "block_size"_a = 64, "mask_out"_a = nb::none(), "mask_lhs"_a = nb::none(),
      "mask_rhs"_a = nb::none(), nb::kw_only(), "stream"_a = nb::none(),
      "A product whose inputs and result are masked by blocks of 32 or 64 rows and columns: a\n"
      "boolean mask keeps blocks, any other one scales them.");
}

}  // namespace

void bind_matmul(nb::module_& m) {
  m.def(
      "matmul", &call_binary<matmul>, "a"_a, "b"_a, nb::kw_only(), "stream"_a = nb::none(),
      "Matrix products of the last two axes; leading axes broadcast. A 1-d input counts as a row\n"
      "(left) or a column (right) and its axis is dropped. Raises ValueError for other shapes.");
  m.def(
      "addmm",
      [](const array& c, const array& a, const array& b, float alpha, float beta,
         StreamOrDevice s) { return addmm(c, a, b, alpha, beta, s); },
      "c"_a, "a"_a, "b"_a, "alpha"_a = 1.0f, "beta"_a = 1.0f, nb::kw_only(),
      "stream"_a = nb::none(), "alpha * (a @ b) + beta * c.");
  m.def(
      "tensordot", &tensordot_by, "a"_a, "b"_a, "axes"_a = 2, nb::kw_only(),
      "stream"_a = nb::none(),
      "Products summed over the last axes of `a` and first axes of `b`, so many of them, or over\n"
      "two lists of axes.");
  m.def("outer", &outer, "a"_a, "b"_a, nb::kw_only(), "stream"_a = nb::none(),
        "Each element of `a` times each element of `b`, both flattened.");
  m.def("inner", &inner, "a"_a, "b"_a, nb::kw_only(), "stream"_a = nb::none(),
        "Products summed over the last axes.");
  m.def("vecdot", &vecdot, "a"_a, "b"_a, "axis"_a = -1, nb::kw_only(), "stream"_a = nb::none(),
        "Products summed over one axis, the first input conjugated.");
  m.def(
      "hadamard_transform",
      [](const array& a, std::optional<float> scale, StreamOrDevice s) {
        return hadamard_transform(a, scale, s);
      },
      "a"_a, "scale"_a = nb::none(), "stream"_a = nb::none(),
      "The last axis times a Hadamard matrix, and times `scale`: 1 / sqrt(n) if not given. The\n"
      "axis has n = m * 2^k values with m in 1, 12, 20 and 28. Half types compute in float32.");
  bind_einsum(m);
  bind_picked_products(m);
}

}  // namespace mlx::python
