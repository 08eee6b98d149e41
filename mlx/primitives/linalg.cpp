// What all nodes of linear algebra do in transforms, and the rules of solvers and inverses.
#include "mlx/primitives/linalg.h"

#include <algorithm>
#include <optional>

#include "mlx/ops.h"
#include "mlx/primitives/linalg_rules.h"
#include "mlx/primitives/rearrange.h"
#include "mlx/transforms.h"

namespace mlx::core {

std::vector<array> MatrixPrimitive::make(const std::shared_ptr<MatrixPrimitive>& node,
                                         const std::vector<array>& inputs) {
  std::vector<Shape> shapes;
  std::vector<Dtype> dtypes;
  for (auto& [shape, dtype] : node->outputs_for(inputs)) {
    shapes.push_back(shape);
    dtypes.push_back(dtype);
  }
  return array::make_arrays(std::move(shapes), dtypes, node, inputs);
}

std::vector<array> MatrixPrimitive::jvp(const std::vector<array>& primals,
                                        const std::vector<array>& tangents,
                                        const std::vector<int>& argnums) {
  StreamContext context(stream());
  return push({primals, apply(primals), tangents, argnums});
}

std::vector<array> MatrixPrimitive::vjp(const std::vector<array>& primals,
                                        const std::vector<array>& cotangents,
                                        const std::vector<int>& argnums,
                                        const std::vector<array>& outputs) {
  StreamContext context(stream());
  std::vector<array> anywhere;  // the rule is linear, so its transpose is the same at any tangent
  for (int i : argnums) {
    anywhere.push_back(zeros_like(primals[i]));
  }
  auto rule = [&](const std::vector<array>& tangents) {
    return push({primals, outputs, tangents, argnums});
  };
  return core::vjp(rule, anywhere, cotangents).second;
}

MatrixPrimitive::Mapped MatrixPrimitive::vmap(const std::vector<array>& inputs,
                                              const std::vector<int>& axes) {
  StreamContext context(stream());
  auto outputs = apply(all_batch_first(inputs, axes, batch_extent(inputs, axes), stream()));
  return {outputs, std::vector<int>(outputs.size(), 0)};
}

std::vector<Shape> MatrixPrimitive::output_shapes(const std::vector<array>& inputs) {
  std::vector<Shape> shapes;
  for (auto& [shape, dtype] : outputs_for(inputs)) {
    shapes.push_back(shape);
  }
  return shapes;
}

namespace {

/** dX of A X = B: what `solve` makes of dB - dA X. */
template <typename SolveFn>
array solution_tangent(const array& x, const std::vector<array>& tangents,
                       const std::vector<int>& argnums, SolveFn&& solve) {
  std::optional<array> right;
  for (size_t i = 0; i < argnums.size(); i++) {
    array term = argnums[i] == 0 ? negative(matmul(tangents[i], x)) : tangents[i];
    right = right ? *right + term : term;
  }
  return solve(*right);
}

/** The cotangents of A and B: those of B are what the adjoint system makes of that of X. */
template <typename SolveFn>
std::vector<array> solution_cotangents(const array& x, const array& cotangent,
                                       const std::vector<int>& argnums, SolveFn&& solve_adjoint) {
  array right = solve_adjoint(cotangent);
  std::vector<array> out;
  for (int i : argnums) {
    out.push_back(i == 0 ? negative(matmul(right, adjoint(x))) : right);
  }
  return out;
}

/** Of one matrix for all: the mapped axis of B becomes columns, so A is factored once. */
std::pair<std::vector<array>, std::vector<int>> map_columns(const MatrixPrimitive& node,
                                                            const array& a, const array& b,
                                                            int axis) {
  array last = moveaxis(b, axis, -1);  // (…, n, k, mapped)
  Shape apart = last.shape(), joined(apart.begin(), apart.end() - 1);
  joined.back() *= apart.back();
  array x = node.apply({a, reshape(last, joined)})[0];
  return {{reshape(x, apart)}, {static_cast<int>(apart.size()) - 1}};
}

}  // namespace

MatrixPrimitive::Outputs TriangularSolve::outputs_for(const Arrays& inputs) const {
  return {{inputs[1].shape(), inputs[1].dtype()}};
}

MatrixPrimitive::Arrays TriangularSolve::push(const Differential& d) const {
  std::vector<array> read = d.tangents;
  if (d.argnums[0] == 0) {
    read[0] = read_part(read[0]);
  }
  return {solution_tangent(d.outputs[0], read, d.argnums, [&](const array& right) {
    return solve_triangular(d.primals[0], right, upper_, unit_);
  })};
}

std::vector<array> TriangularSolve::vjp(const std::vector<array>& primals,
                                        const std::vector<array>& cotangents,
                                        const std::vector<int>& argnums,
                                        const std::vector<array>& outputs) {
  StreamContext context(stream());
  auto out = solution_cotangents(outputs[0], cotangents[0], argnums, [&](const array& g) {
    return solve_triangular(adjoint(primals[0]), g, !upper_, unit_);
  });
  if (argnums[0] == 0) {
    out[0] = read_part(out[0]);
  }
  return out;
}

MatrixPrimitive::Mapped TriangularSolve::vmap(const std::vector<array>& inputs,
                                              const std::vector<int>& axes) {
  StreamContext context(stream());
  return axes[0] < 0 ? map_columns(*this, inputs[0], inputs[1], axes[1])
                     : MatrixPrimitive::vmap(inputs, axes);
}

array TriangularSolve::read_part(const array& a) const {
  int diagonal = unit_ ? 1 : 0;
  return upper_ ? triu(a, diagonal) : tril(a, -diagonal);
}

MatrixPrimitive::Outputs Solve::outputs_for(const Arrays& inputs) const {
  return {{inputs[1].shape(), inputs[1].dtype()}};
}

MatrixPrimitive::Arrays Solve::push(const Differential& d) const {
  return {solution_tangent(d.outputs[0], d.tangents, d.argnums, [&](const array& right) {
    return apply({d.primals[0], right})[0];
  })};
}

std::vector<array> Solve::vjp(const std::vector<array>& primals,
                              const std::vector<array>& cotangents, const std::vector<int>& argnums,
                              const std::vector<array>& outputs) {
  StreamContext context(stream());
  return solution_cotangents(outputs[0], cotangents[0], argnums, [&](const array& g) {
    return apply({adjoint(primals[0]), g})[0];
  });
}

MatrixPrimitive::Mapped Solve::vmap(const std::vector<array>& inputs,
                                    const std::vector<int>& axes) {
  StreamContext context(stream());
  return axes[0] < 0 ? map_columns(*this, inputs[0], inputs[1], axes[1])
                     : MatrixPrimitive::vmap(inputs, axes);
}

MatrixPrimitive::Outputs Inverse::outputs_for(const Arrays& inputs) const {
  return {{inputs[0].shape(), inputs[0].dtype()}};
}

MatrixPrimitive::Arrays Inverse::push(const Differential& d) const {
  const array& x = d.outputs[0];
  return {negative(matmul(matmul(x, d.tangents[0]), x))};
}

}  // namespace mlx::core
