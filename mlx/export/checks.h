// What each primitive may be applied to. Ops check what callers pass; nodes of a file come past the
// ops, so they are held here to what the primitives' own comments say of inputs and parameters. A
// node that passes can be evaluated and transformed without reading or writing where it must not.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "mlx/array.h"
#include "mlx/export/bytes.h"

namespace mlx::core {

/** A node that is to be made, and questions about it; all throw std::runtime_error. */
class NodeCheck {
 public:
  /** Inputs need no data; `dtypes` are those of the outputs. */
  NodeCheck(std::string_view name, const std::vector<array>& inputs,
            const std::vector<Dtype>& dtypes)
      : name_(name), inputs_(inputs), dtypes_(dtypes) {}

  size_t inputs() const { return inputs_.size(); }
  size_t outputs() const { return dtypes_.size(); }
  const array& in(size_t i) const { return inputs_[i]; }
  const Shape& shape(size_t i = 0) const { return inputs_[i].shape(); }
  Dtype dtype(size_t i = 0) const { return inputs_[i].dtype(); }
  Dtype output(size_t i) const { return dtypes_[i]; }
  int ndim(size_t i = 0) const { return static_cast<int>(inputs_[i].ndim()); }

  void expect(bool condition, const char* what) const {
    if (!condition) [[unlikely]]
      fail(what);
  }
  void takes(size_t least, size_t most) const {
    expect(inputs() >= least && inputs() <= most, "it has another number of inputs");
  }
  void takes(size_t n) const { takes(n, n); }
  void gives(std::initializer_list<Dtype> dtypes) const {
    expect(std::equal(dtypes.begin(), dtypes.end(), dtypes_.begin(), dtypes_.end()),
           "its outputs have other dtypes");
  }
  void gives(size_t n, Dtype dtype) const {
    expect(dtypes_ == std::vector<Dtype>(n, dtype), "its outputs have other dtypes");
  }
  void is(size_t i, Dtype wanted) const {
    expect(dtype(i) == wanted, "an input has another dtype");
  }
  void has_shape(size_t i, const Shape& wanted) const {
    expect(shape(i) == wanted, "an input has another shape");
  }
  void has_ndim(size_t i, int n) const { expect(ndim(i) == n, "an input has other axes"); }
  void has_axes(size_t i, int least) const { expect(ndim(i) >= least, "an input lacks axes"); }
  /** Inputs from `first` to before `end` have the dtype of the first of them. */
  void alike(size_t first, size_t end) const {
    for (size_t i = first; i < end; i++) is(i, dtype(first));
  }
  /** A floating dtype. */
  void is_floating(size_t i) const {
    expect(issubdtype(dtype(i), floating), "an input is not of a floating dtype");
  }
  void is_integer(size_t i) const {
    expect(issubdtype(dtype(i), integer), "indices are not integers");
  }
  void axis(int axis, int ndim) const {
    expect(axis >= 0 && axis < ndim, "an axis is out of range");
  }
  /** Ascending, each once. */
  void ascending_axes(const std::vector<int>& axes, int ndim) const {
    for (size_t i = 0; i < axes.size(); i++) {
      axis(axes[i], ndim);
      expect(i == 0 || axes[i - 1] < axes[i], "axes are not in order");
    }
  }
  /** Each once. */
  void distinct_axes(std::vector<int> axes, int ndim) const {
    std::sort(axes.begin(), axes.end());
    ascending_axes(axes, ndim);
  }
  /** One input, and an output of its dtype. */
  void takes_one() const {
    takes(1);
    gives({dtype()});
  }

 private:
  [[noreturn]] void fail(const char* what) const;

  std::string_view name_;
  const std::vector<array>& inputs_;
  const std::vector<Dtype>& dtypes_;
};

/** One for each primitive of the table. Shapes of outputs are compared by the caller. */
template <typename P>
void check_node(const P& primitive, const NodeCheck& node);

}  // namespace mlx::core
