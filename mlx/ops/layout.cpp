// Ops about the memory of an array rather than its elements.
#include <algorithm>

#include "mlx/core/errors.h"
#include "mlx/core/graph_lock.h"
#include "mlx/core/layout.h"
#include "mlx/core/shape_checks.h"
#include "mlx/ops.h"
#include "mlx/primitives/layout.h"

namespace mlx::core {

array as_strided(array a, Shape shape, Strides strides, size_t offset, StreamOrDevice s) {
  check_shape("as_strided", shape, a.dtype());
  check(shape.size() == strides.size(), "as_strided", "Got ", strides.size(), " strides for shape ",
        shape, ".");
  AsStrided::check_bounds(a, shape, strides, offset);
  if (shape == a.shape() && offset == 0 && strides == row_contiguous_strides(shape)) {
    return a;
  }
  Shape out = shape;
  return rearranged<AsStrided>(a, std::move(out), to_stream(s), std::move(shape),
                               std::move(strides), offset);
}

array copy(array a, StreamOrDevice s) { return rearranged<Copy>(a, a.shape(), to_stream(s)); }

array contiguous(const array& a, bool allow_col_major, StreamOrDevice s) {
  return rearranged<Contiguous>(a, a.shape(), to_stream(s), allow_col_major);
}

array view(const array& a, const Dtype& dtype, StreamOrDevice s) {
  if (a.dtype() == dtype) {
    return a;
  }
  if (dtype == bool_) {  // bytes other than 0 and 1 are no bools, but true
    return astype(view(a, uint8, s), bool_, s);
  }
  return array(View::shape_as(a, dtype), dtype, std::make_shared<View>(to_stream(s), dtype), {a});
}

array stop_gradient(const array& a, StreamOrDevice s) {
  return rearranged<StopGradient>(a, a.shape(), to_stream(s));
}

std::vector<array> depends(const std::vector<array>& inputs,
                           const std::vector<array>& dependencies) {
  if (inputs.empty() || dependencies.empty()) {
    return inputs;
  }
  std::vector<array> all = inputs;
  all.insert(all.end(), dependencies.begin(), dependencies.end());
  std::vector<Shape> shapes;
  std::vector<Dtype> dtypes;
  for (auto& in : inputs) {
    shapes.push_back(in.shape());
    dtypes.push_back(in.dtype());
  }
  Stream s = stream_of(inputs[0]);
  return array::make_arrays(std::move(shapes), dtypes, std::make_shared<Depends>(s, inputs.size()),
                            all);
}

array number_of_elements(const array& a, std::vector<int> axes, bool inverted, Dtype dtype,
                         StreamOrDevice s) {
  axes = normalize_axes("number_of_elements", std::move(axes), a.ndim());
  return array(Shape{}, dtype,
               std::make_shared<NumberOfElements>(to_stream(s), std::move(axes), inverted, dtype),
               {a});
}

}  // namespace mlx::core
