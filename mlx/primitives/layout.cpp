// Transforms of nodes about memory.
#include "mlx/primitives/layout.h"

#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

std::vector<array> zeros_for(const std::vector<array>& primals, const std::vector<int>& argnums,
                             Stream s) {
  std::vector<array> zeros;
  for (int i : argnums) {
    zeros.push_back(zeros_like(primals[i], s));
  }
  return zeros;
}

// For each element of a strided view, its position in the flat array.
array strided_positions(const Shape& shape, const Strides& strides, size_t offset, Stream s) {
  array positions(static_cast<int64_t>(offset), int64);
  for (size_t i = 0; i < shape.size(); i++) {
    array steps = multiply(arange(0.0, shape[i], 1.0, int64, s), array(strides[i], int64), s);
    Shape along(shape.size(), 1);
    along[i] = shape[i];
    positions = add(positions, reshape(steps, along, s), s);
  }
  return broadcast_to(positions, shape, s);
}

}  // namespace

// ------------ AsStrided

void AsStrided::check_bounds(const array& a, const Shape& shape, const Strides& strides,
                             size_t offset) {
  if (num_elements(shape) == 0) {
    return;
  }
  __int128 low = offset, high = offset;
  for (size_t i = 0; i < shape.size(); i++) {
    __int128 reach = static_cast<__int128>(shape[i] - 1) * strides[i];
    (reach < 0 ? low : high) += reach;
  }
  check(low >= 0 && high < static_cast<__int128>(a.size()), "as_strided", "A view of shape ", shape,
        " with strides ", strides, " and offset ", offset, " reaches outside the ", a.size(),
        " elements of an array of shape ", a.shape(), ".");
}

Shape AsStrided::output_shape(const array& in) const {
  check_bounds(in, shape_, strides_, offset_);
  return shape_;
}

array AsStrided::apply(const array& a) {
  return as_strided(a, shape_, strides_, offset_, stream());
}

array AsStrided::apply_to_batch(const array& a) {
  int batch = a.shape(0);
  Shape shape = shape_;
  shape.insert(shape.begin(), batch);
  Strides strides = strides_;
  strides.insert(strides.begin(), batch ? static_cast<int64_t>(a.size()) / batch : 0);
  return as_strided(a, shape, strides, offset_, stream());
}

array AsStrided::transposed(const array& cotangent, const array& primal) {
  array flat = flatten(zeros_like(primal, stream()), stream());
  array positions = strided_positions(shape_, strides_, offset_, stream());
  array summed = scatter_add(flat, positions, expand_dims(cotangent, -1, stream()), 0, stream());
  return reshape(summed, primal.shape(), stream());
}

// ------------ Copy, Contiguous

array Copy::apply(const array& a) { return copy(a, stream()); }

array Contiguous::apply(const array& a) { return contiguous(a, allow_col_major_, stream()); }

bool Contiguous::shares(const array& in) const {
  constexpr size_t spare = 16384;
  auto flags = in.flags();
  bool in_order = flags.row_contiguous || (allow_col_major_ && flags.col_contiguous);
  return in_order && (in.size() == 0 || in.buffer_size() <= std::max(2 * in.nbytes(), spare));
}

// ------------ View

Shape View::shape_as(const array& a, Dtype dtype) {
  Shape shape = a.shape();
  if (a.itemsize() == dtype.size()) {
    return shape;
  }
  check(a.ndim() > 0, "view", "A scalar of dtype ", a.dtype(), " cannot be viewed as ", dtype,
        ", which has another size.");
  int64_t bytes = static_cast<int64_t>(shape.back()) * a.itemsize();
  check(bytes % dtype.size() == 0, "view", "The last axis of shape ", a.shape(), " and dtype ",
        a.dtype(), " has ", bytes, " bytes, which is no multiple of the size of ", dtype, ".");
  check(bytes / dtype.size() <= INT32_MAX, "view", "The last axis of shape ", a.shape(),
        " would be longer than 2^31 - 1 as ", dtype, ".");
  shape.back() = static_cast<ShapeElem>(bytes / dtype.size());
  return shape;
}

std::vector<array> View::vjp(const std::vector<array>& primals, const std::vector<array>&,
                             const std::vector<int>& argnums, const std::vector<array>&) {
  return zeros_for(primals, argnums, stream());
}

std::vector<array> View::jvp(const std::vector<array>& primals, const std::vector<array>&,
                             const std::vector<int>&) {
  return {zeros(shape_as(primals[0], dtype_), dtype_, stream())};
}

std::pair<std::vector<array>, std::vector<int>> View::vmap(const std::vector<array>& inputs,
                                                           const std::vector<int>& axes) {
  if (axes[0] < 0) {
    return {{view(inputs[0], dtype_, stream())}, {-1}};
  }
  return {{view(moveaxis(inputs[0], axes[0], 0, stream()), dtype_, stream())}, {0}};
}

std::vector<Shape> View::output_shapes(const std::vector<array>& inputs) {
  return {shape_as(inputs[0], dtype_)};
}

// ------------ StopGradient

std::pair<std::vector<array>, std::vector<int>> StopGradient::vmap(const std::vector<array>& inputs,
                                                                   const std::vector<int>& axes) {
  return {{stop_gradient(inputs[0], stream())}, axes};
}

// ------------ Depends

std::vector<array> Depends::vjp(const std::vector<array>& primals,
                                const std::vector<array>& cotangents,
                                const std::vector<int>& argnums, const std::vector<array>&) {
  std::vector<array> result;
  for (int i : argnums) {
    bool passes = i < static_cast<int>(cotangents.size());
    result.push_back(passes ? cotangents[i] : zeros_like(primals[i], stream()));
  }
  return result;
}

std::vector<array> Depends::jvp(const std::vector<array>& primals,
                                const std::vector<array>& tangents,
                                const std::vector<int>& argnums) {
  std::vector<array> all;
  for (auto& primal : primals) {
    all.push_back(zeros_like(primal, stream()));
  }
  for (size_t k = 0; k < argnums.size(); k++) {
    all[argnums[k]] = tangents[k];
  }
  all.erase(all.begin() + outputs_, all.end());
  return all;
}

std::pair<std::vector<array>, std::vector<int>> Depends::vmap(const std::vector<array>& inputs,
                                                              const std::vector<int>& axes) {
  std::vector<array> values(inputs.begin(), inputs.begin() + outputs_);
  std::vector<array> others(inputs.begin() + outputs_, inputs.end());
  return {depends(values, others), std::vector<int>(axes.begin(), axes.begin() + outputs_)};
}

std::vector<Shape> Depends::output_shapes(const std::vector<array>& inputs) {
  std::vector<Shape> shapes;
  for (size_t i = 0; i < outputs_; i++) shapes.push_back(inputs[i].shape());
  return shapes;
}

// ------------ NumberOfElements

std::vector<array> NumberOfElements::vjp(const std::vector<array>& primals,
                                         const std::vector<array>&, const std::vector<int>& argnums,
                                         const std::vector<array>&) {
  return zeros_for(primals, argnums, stream());
}

std::vector<array> NumberOfElements::jvp(const std::vector<array>&, const std::vector<array>&,
                                         const std::vector<int>&) {
  return {zeros({}, dtype_, stream())};
}

std::pair<std::vector<array>, std::vector<int>> NumberOfElements::vmap(
    const std::vector<array>& inputs, const std::vector<int>& axes) {
  std::vector<int> counted = axes_;
  for (int& axis : counted) {
    axis += axes[0] >= 0 && axis >= axes[0];
  }
  return {{number_of_elements(inputs[0], counted, inverted_, dtype_, stream())}, {-1}};
}

}  // namespace mlx::core
