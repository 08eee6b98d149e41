// Every op of the framework as a free function with a trailing stream: the book to read first.
// Arrays are never changed: each call returns a node of the graph. Element-wise ops broadcast by
// NumPy's rules and promote by `promote_types`; negative axes count from the end. Wrong shapes,
// dtypes or axes raise std::invalid_argument before any work.
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "mlx/array.h"
#include "mlx/device.h"
#include "mlx/stream.h"
#include "mlx/utils.h"

namespace mlx::core {

// ------------ Creation

/** Numbers from start up to but not including stop; int32 for ints, else float32. Each is computed
 *  by itself, so errors do not add up. A step of zero, NaN, dtype bool or more than 2^31 - 1
 *  elements raise. */
array arange(double start, double stop, double step, Dtype dtype, StreamOrDevice s = {});
array arange(double start, double stop, double step, StreamOrDevice s = {});
array arange(double start, double stop, Dtype dtype, StreamOrDevice s = {});
array arange(double start, double stop, StreamOrDevice s = {});
array arange(double stop, Dtype dtype, StreamOrDevice s = {});
array arange(double stop, StreamOrDevice s = {});
array arange(int start, int stop, int step, StreamOrDevice s = {});
array arange(int start, int stop, StreamOrDevice s = {});
array arange(int stop, StreamOrDevice s = {});

/** `num` numbers at equal distances from start to stop, both exact; without endpoint stop is left
 *  out. Computed in float64. */
array linspace(double start, double stop, int num, bool endpoint, Dtype dtype = float32,
               StreamOrDevice s = {});
array linspace(double start, double stop, int num = 50, Dtype dtype = float32,
               StreamOrDevice s = {});

/** `vals` broadcast to the shape: a view of them until a kernel needs the elements. */
array full(Shape shape, array vals, Dtype dtype, StreamOrDevice s = {});
array full(Shape shape, array vals, StreamOrDevice s = {});

/** As full, with the shape of `a` and, unless given, its dtype. */
array full_like(const array& a, array vals, Dtype dtype, StreamOrDevice s = {});
array full_like(const array& a, array vals, StreamOrDevice s = {});

/** Zeros, float32 unless a dtype is given. */
array zeros(const Shape& shape, Dtype dtype, StreamOrDevice s = {});
array zeros(const Shape& shape, StreamOrDevice s = {});

/** Zeros of the shape of `a` and, unless given, its dtype. */
array zeros_like(const array& a, StreamOrDevice s = {});
array zeros_like(const array& a, Dtype dtype, StreamOrDevice s = {});

/** Ones, float32 unless a dtype is given. */
array ones(const Shape& shape, Dtype dtype, StreamOrDevice s = {});
array ones(const Shape& shape, StreamOrDevice s = {});

/** Ones of the shape of `a` and, unless given, its dtype. */
array ones_like(const array& a, StreamOrDevice s = {});
array ones_like(const array& a, Dtype dtype, StreamOrDevice s = {});

/** n by m, with ones on the k-th diagonal above the main one and zeros elsewhere. */
array eye(int n, int m, int k, Dtype dtype, StreamOrDevice s = {});
array eye(int n, Dtype dtype, StreamOrDevice s = {});
array eye(int n, int m, StreamOrDevice s = {});
array eye(int n, int m, int k, StreamOrDevice s = {});
array eye(int n, StreamOrDevice s = {});

/** n by n, with ones on the diagonal. */
array identity(int n, Dtype dtype, StreamOrDevice s = {});
array identity(int n, StreamOrDevice s = {});

/** n by m, with ones on and below the k-th diagonal and zeros elsewhere. */
array tri(int n, int m, int k, Dtype type, StreamOrDevice s = {});
array tri(int n, Dtype type, StreamOrDevice s = {});

/** The matrices of the last two axes with zeros above the k-th diagonal. */
array tril(array x, int k = 0, StreamOrDevice s = {});

/** The matrices of the last two axes with zeros below the k-th diagonal. */
array triu(array x, int k = 0, StreamOrDevice s = {});

/** 0.5 - 0.5 cos(2 pi i / (M - 1)). All windows are symmetric and float32; M < 1 gives none. */
array hanning(int M, StreamOrDevice s = {});

/** 0.54 - 0.46 cos(2 pi i / (M - 1)). */
array hamming(int M, StreamOrDevice s = {});

/** A triangle from 0 to 1 and back: 1 - |2 i / (M - 1) - 1|. */
array bartlett(int M, StreamOrDevice s = {});

/** 0.42 - 0.5 cos(2 pi t) + 0.08 cos(4 pi t) at t = i / (M - 1). */
array blackman(int M, StreamOrDevice s = {});

// ------------ Shape and layout

/** A view of the elements of `a` in row-major order: element i of the result is at offset + i times
 *  strides. Throws if any position lies outside `a`. */
array as_strided(array a, Shape shape, Strides strides, size_t offset, StreamOrDevice s = {});

/** The same elements in memory of their own. */
array copy(array a, StreamOrDevice s = {});

/** The elements in row-major order with another shape of the same size; one extent may be -1. A
 *  view where strides allow. Here and below: where nothing changes the input itself comes back. */
array reshape(const array& a, Shape shape, StreamOrDevice s = {});

/** One axis cut into axes of the given extents, of which one may be -1. */
array unflatten(const array& a, int axis, Shape shape, StreamOrDevice s = {});

/** The axes from start to end, both included, as one; axes past an end mean that end. A scalar
 *  becomes a vector. */
array flatten(const array& a, int start_axis, int end_axis = -1, StreamOrDevice s = {});
array flatten(const array& a, StreamOrDevice s = {});

/** Without the given axes, or without all, of extent 1. Throws if one has another extent. */
array squeeze(const array& a, const std::vector<int>& axes, StreamOrDevice s = {});
array squeeze(const array& a, int axis, StreamOrDevice s = {});
array squeeze(const array& a, StreamOrDevice s = {});

/** With axes of extent 1 at these positions of the result. */
array expand_dims(const array& a, const std::vector<int>& axes, StreamOrDevice s = {});
array expand_dims(const array& a, int axis, StreamOrDevice s = {});

/** In reverse order along the axes, or all axes. A view. */
array flip(const array& a, const std::vector<int>& axes, StreamOrDevice s = {});
array flip(const array& a, int axis, StreamOrDevice s = {});
array flip(const array& a, StreamOrDevice s = {});

/** A view of every stride-th element from start up to stop, one entry for each axis, by Python's
 *  rules: negative ones count from the end, ones past an end mean that end. */
array slice(const array& a, Shape start, Shape stop, Shape strides, StreamOrDevice s = {});
array slice(const array& a, std::initializer_list<int> start, Shape stop, Shape strides,
            StreamOrDevice s = {});
array slice(const array& a, Shape start, Shape stop, StreamOrDevice s = {});
/** The part of shape `slice_size` that begins at `start` (integers, one for each of `axes`) and at
 * 0 along the others. A part that leaves the array raises std::out_of_range when evaluated. */
array slice(const array& a, const array& start, std::vector<int> axes, Shape slice_size,
            StreamOrDevice s = {});

/** `src` with a slice replaced by `update`, which broadcasts to it and is cast. Written in place
 *  when nobody else needs `src`. */
array slice_update(const array& src, const array& update, Shape start, Shape stop, Shape strides,
                   StreamOrDevice s = {});
array slice_update(const array& src, const array& update, Shape start, Shape stop,
                   StreamOrDevice s = {});
/** `src` with `update` at `start` along `axes`, as in the dynamic slice. */
array slice_update(const array& src, const array& update, const array& start, std::vector<int> axes,
                   StreamOrDevice s = {});

/** `src` with the update added to, multiplied into, or put by maximum or minimum into a slice. */
array slice_update_add(const array& src, const array& update, Shape start, Shape stop,
                       Shape strides, StreamOrDevice s = {});
array slice_update_add(const array& src, const array& update, Shape start, Shape stop,
                       StreamOrDevice s = {});

array slice_update_prod(const array& src, const array& update, Shape start, Shape stop,
                        Shape strides, StreamOrDevice s = {});
array slice_update_prod(const array& src, const array& update, Shape start, Shape stop,
                        StreamOrDevice s = {});

array slice_update_max(const array& src, const array& update, Shape start, Shape stop,
                       Shape strides, StreamOrDevice s = {});
array slice_update_max(const array& src, const array& update, Shape start, Shape stop,
                       StreamOrDevice s = {});

array slice_update_min(const array& src, const array& update, Shape start, Shape stop,
                       Shape strides, StreamOrDevice s = {});
array slice_update_min(const array& src, const array& update, Shape start, Shape stop,
                       StreamOrDevice s = {});

/** Views of equal parts, or of the parts between indices. */
std::vector<array> split(const array& a, int num_splits, int axis, StreamOrDevice s = {});
std::vector<array> split(const array& a, int num_splits, StreamOrDevice s = {});
std::vector<array> split(const array& a, const Shape& indices, int axis, StreamOrDevice s = {});
std::vector<array> split(const array& a, const Shape& indices, StreamOrDevice s = {});

/** The slices along an axis, without that axis. */
std::vector<array> unstack(const array& a, int axis, StreamOrDevice s = {});
std::vector<array> unstack(const array& a, StreamOrDevice s = {});

/** Coordinates of a grid, one array for each axis; "xy" swaps the first two axes, "ij" does not.
 *  Sparse ones keep extent 1 along the other axes. */
std::vector<array> meshgrid(const std::vector<array>& arrays, bool sparse = false,
                            const std::string& indexing = "xy", StreamOrDevice s = {});

/** Arrays of the same rank and extents but along the axis, one after the other, in their common
 *  dtype; without an axis they are flattened. */
array concatenate(std::vector<array> arrays, int axis, StreamOrDevice s = {});
array concatenate(std::vector<array> arrays, StreamOrDevice s = {});

/** Arrays of one shape along a new axis. */
array stack(const std::vector<array>& arrays, int axis, StreamOrDevice s = {});
array stack(const std::vector<array>& arrays, StreamOrDevice s = {});

/** Every element `repeats` times along an axis, or of the flattened array. */
array repeat(const array& arr, int repeats, int axis, StreamOrDevice s = {});
array repeat(const array& arr, int repeats, StreamOrDevice s = {});

/** The whole array repeated along each axis; the shorter of shape and reps gets ones in front. */
array tile(const array& arr, std::vector<int> reps, StreamOrDevice s = {});

/** Axis i of the result is axis axes[i]; without axes their order is reversed. A view. */
array transpose(const array& a, std::vector<int> axes, StreamOrDevice s = {});
array transpose(const array& a, std::initializer_list<int> axes, StreamOrDevice s = {});
array transpose(const array& a, StreamOrDevice s = {});

/** The last two axes swapped. */
array matrix_transpose(const array& a, StreamOrDevice s = {});

/** Two axes swapped. */
array swapaxes(const array& a, int axis1, int axis2, StreamOrDevice s = {});

/** One axis moved, the others in order. */
array moveaxis(const array& a, int source, int destination, StreamOrDevice s = {});

/** `a` continued past both ends of each axis: "constant" by a scalar, "edge" by the end elements,
 *  "reflect" and "symmetric" by mirror images without and with the end elements. */
array pad(const array& a, const std::vector<int>& axes, const Shape& low_pad_size,
          const Shape& high_pad_size, const array& pad_value = array(0),
          const std::string& mode = "constant", StreamOrDevice s = {});
array pad(const array& a, const std::vector<std::pair<int, int>>& pad_width,
          const array& pad_value = array(0), const std::string& mode = "constant",
          StreamOrDevice s = {});
array pad(const array& a, const std::pair<int, int>& pad_width, const array& pad_value = array(0),
          const std::string& mode = "constant", StreamOrDevice s = {});
array pad(const array& a, int pad_width, const array& pad_value = array(0),
          const std::string& mode = "constant", StreamOrDevice s = {});

/** A view that repeats `a` along new and unit axes. */
array broadcast_to(const array& a, const Shape& shape, StreamOrDevice s = {});

/** All broadcast to their common shape. */
std::vector<array> broadcast_arrays(const std::vector<array>& inputs, StreamOrDevice s = {});

/** `a`, as a constant to derivatives. */
array stop_gradient(const array& a, StreamOrDevice s = {});

/** Every element of `a` times all of `b`, in blocks. */
array kron(const array& a, const array& b, StreamOrDevice s = {});

/** The diagonal of two axes, `offset` above the main one, as the last axis. A view. */
array diagonal(const array& a, int offset = 0, int axis1 = 0, int axis2 = 1, StreamOrDevice s = {});

/** The diagonal of a matrix, or the matrix with a vector on its diagonal. */
array diag(const array& a, int k = 0, StreamOrDevice s = {});

/** The sum of a diagonal; integers below 32 bits and bool sum as int32 unless a dtype is given. */
array trace(const array& a, int offset, int axis1, int axis2, Dtype dtype, StreamOrDevice s = {});
array trace(const array& a, int offset, int axis1, int axis2, StreamOrDevice s = {});
array trace(const array& a, StreamOrDevice s = {});

/** The inputs, not before the dependencies have been computed. */
std::vector<array> depends(const std::vector<array>& inputs,
                           const std::vector<array>& dependencies);

/** With unit axes added up to so many dimensions; in three, a matrix gets its new axis last. */
array atleast_1d(const array& a, StreamOrDevice s = {});
std::vector<array> atleast_1d(const std::vector<array>& a, StreamOrDevice s = {});

array atleast_2d(const array& a, StreamOrDevice s = {});
std::vector<array> atleast_2d(const std::vector<array>& a, StreamOrDevice s = {});

array atleast_3d(const array& a, StreamOrDevice s = {});
std::vector<array> atleast_3d(const std::vector<array>& a, StreamOrDevice s = {});

/** The product of the extents of some axes, or one over it, as a scalar. */
array number_of_elements(const array& a, std::vector<int> axes, bool inverted, Dtype dtype = int32,
                         StreamOrDevice s = {});

/** The same bytes as another dtype; the last axis changes with the size of an element, and throws
 * if it cannot. Has no derivative. */
array view(const array& a, const Dtype& dtype, StreamOrDevice s = {});

/** Elements shifted along axes, those that leave one end entering at the other; without axes the
 *  flattened array is rolled. */
array roll(const array& a, int shift, StreamOrDevice s = {});
array roll(const array& a, const Shape& shift, StreamOrDevice s = {});
array roll(const array& a, int shift, int axis, StreamOrDevice s = {});
array roll(const array& a, int shift, const std::vector<int>& axes, StreamOrDevice s = {});
array roll(const array& a, const Shape& shift, int axis, StreamOrDevice s = {});
array roll(const array& a, const Shape& shift, const std::vector<int>& axes, StreamOrDevice s = {});

/** The same elements in row-major memory (or column-major where that is allowed and there). */
array contiguous(const array& a, bool allow_col_major = false, StreamOrDevice s = {});

// ------------ Indexing

// Index arrays are integers of any dtype; negative ones count from the end. One outside the array
// raises std::out_of_range when the result is evaluated, and nothing is read or written by it.

/** The slices of size `slice_sizes` that begin at the indices along `axes`: the indices' common
 *  shape followed by the slice's. */
array gather(const array& a, const std::vector<array>& indices, const std::vector<int>& axes,
             const Shape& slice_sizes, StreamOrDevice s = {});
array gather(const array& a, const array& indices, int axis, const Shape& slice_sizes,
             StreamOrDevice s = {});

/** Elements along an axis, which the indices' axes replace; without an axis of the flattened array.
 *  A single int index outside raises at once. */
array take(const array& a, const array& indices, int axis, StreamOrDevice s = {});
array take(const array& a, int index, int axis, StreamOrDevice s = {});
array take(const array& a, const array& indices, StreamOrDevice s = {});
array take(const array& a, int index, StreamOrDevice s = {});

/** out[.., i, ..] = a[.., indices[.., i, ..], ..]; the other axes broadcast. */
array take_along_axis(const array& a, const array& indices, int axis, StreamOrDevice s = {});

/** `a` with out[.., indices[.., i, ..], ..] = values[.., i, ..]; values broadcast to the indices
 * and are cast. Of several for one element the last wins. */
array put_along_axis(const array& a, const array& indices, const array& values, int axis,
                     StreamOrDevice s = {});

/** As put_along_axis, but adds. */
array scatter_add_axis(const array& a, const array& indices, const array& values, int axis,
                       StreamOrDevice s = {});

/** `a` with slices at the indices replaced by updates, whose shape is the indices' common one
 *  followed by a slice of `a`. Of several updates for one element the last wins. */
array scatter(const array& a, const std::vector<array>& indices, const array& updates,
              const std::vector<int>& axes, StreamOrDevice s = {});
array scatter(const array& a, const array& indices, const array& updates, int axis,
              StreamOrDevice s = {});

/** As scatter, but updates are added, in order, so results do not depend on threads. The same for
 *  products, maxima and minima below. */
array scatter_add(const array& a, const std::vector<array>& indices, const array& updates,
                  const std::vector<int>& axes, StreamOrDevice s = {});
array scatter_add(const array& a, const array& indices, const array& updates, int axis,
                  StreamOrDevice s = {});

array scatter_prod(const array& a, const std::vector<array>& indices, const array& updates,
                   const std::vector<int>& axes, StreamOrDevice s = {});
array scatter_prod(const array& a, const array& indices, const array& updates, int axis,
                   StreamOrDevice s = {});

array scatter_max(const array& a, const std::vector<array>& indices, const array& updates,
                  const std::vector<int>& axes, StreamOrDevice s = {});
array scatter_max(const array& a, const array& indices, const array& updates, int axis,
                  StreamOrDevice s = {});

array scatter_min(const array& a, const std::vector<array>& indices, const array& updates,
                  const std::vector<int>& axes, StreamOrDevice s = {});
array scatter_min(const array& a, const array& indices, const array& updates, int axis,
                  StreamOrDevice s = {});

/** `a` with the elements under a mask of its leading axes replaced by those of `src` in order, or
 * by the only one. Too few raise std::out_of_range when evaluated. */
array masked_scatter(const array& a, const array& mask, const array& src, StreamOrDevice s = {});

/** The positions of the elements that are not zero, in row-major order: an int32 array for each
 *  axis. Evaluates `a`, since their number decides the shapes. */
std::vector<array> nonzero(const array& a, StreamOrDevice s = {});

// ------------ Element-wise

array astype(array a, Dtype dtype, StreamOrDevice s = {});

array clip(const array& a, const std::optional<array>& a_min = std::nullopt,
           const std::optional<array>& a_max = std::nullopt, StreamOrDevice s = {});

array equal(const array& a, const array& b, StreamOrDevice s = {});

array operator==(const array& a, const array& b);

array not_equal(const array& a, const array& b, StreamOrDevice s = {});

array operator!=(const array& a, const array& b);

array greater(const array& a, const array& b, StreamOrDevice s = {});

array operator>(const array& a, const array& b);

array greater_equal(const array& a, const array& b, StreamOrDevice s = {});

array operator>=(const array& a, const array& b);

array less(const array& a, const array& b, StreamOrDevice s = {});

array operator<(const array& a, const array& b);

array less_equal(const array& a, const array& b, StreamOrDevice s = {});

array operator<=(const array& a, const array& b);

array array_equal(const array& a, const array& b, bool equal_nan, StreamOrDevice s = {});
array array_equal(const array& a, const array& b, StreamOrDevice s = {});

array isnan(const array& a, StreamOrDevice s = {});

array isinf(const array& a, StreamOrDevice s = {});

array isfinite(const array& a, StreamOrDevice s = {});

array isposinf(const array& a, StreamOrDevice s = {});

array isneginf(const array& a, StreamOrDevice s = {});

array where(const array& condition, const array& x, const array& y, StreamOrDevice s = {});

array nan_to_num(const array& a, float nan = 0.0f, const std::optional<float> posinf = std::nullopt,
                 const std::optional<float> neginf = std::nullopt, StreamOrDevice s = {});

array allclose(const array& a, const array& b, double rtol = 1e-5, double atol = 1e-8,
               bool equal_nan = false, StreamOrDevice s = {});

array isclose(const array& a, const array& b, double rtol = 1e-5, double atol = 1e-8,
              bool equal_nan = false, StreamOrDevice s = {});

array abs(const array& a, StreamOrDevice s = {});

array positive(const array& a, StreamOrDevice s = {});

array negative(const array& a, StreamOrDevice s = {});

array operator-(const array& a);
array operator-(const array& a, const array& b);

array sign(const array& a, StreamOrDevice s = {});

array logical_not(const array& a, StreamOrDevice s = {});

array logical_and(const array& a, const array& b, StreamOrDevice s = {});

array operator&&(const array& a, const array& b);

array logical_or(const array& a, const array& b, StreamOrDevice s = {});

array operator||(const array& a, const array& b);

array logical_xor(const array& a, const array& b, StreamOrDevice s = {});

array reciprocal(const array& a, StreamOrDevice s = {});

array add(const array& a, const array& b, StreamOrDevice s = {});

array operator+(const array& a, const array& b);

array subtract(const array& a, const array& b, StreamOrDevice s = {});

array multiply(const array& a, const array& b, StreamOrDevice s = {});

array operator*(const array& a, const array& b);

array divide(const array& a, const array& b, StreamOrDevice s = {});

array operator/(const array& a, const array& b);
array operator/(double a, const array& b);
array operator/(const array& a, double b);

std::vector<array> divmod(const array& a, const array& b, StreamOrDevice s = {});

array floor_divide(const array& a, const array& b, StreamOrDevice s = {});

array remainder(const array& a, const array& b, StreamOrDevice s = {});

array operator%(const array& a, const array& b);

array maximum(const array& a, const array& b, StreamOrDevice s = {});

array minimum(const array& a, const array& b, StreamOrDevice s = {});

array floor(const array& a, StreamOrDevice s = {});

array ceil(const array& a, StreamOrDevice s = {});

array trunc(const array& a, StreamOrDevice s = {});

array square(const array& a, StreamOrDevice s = {});

array exp(const array& a, StreamOrDevice s = {});

array sin(const array& a, StreamOrDevice s = {});

array cos(const array& a, StreamOrDevice s = {});

array tan(const array& a, StreamOrDevice s = {});

array arcsin(const array& a, StreamOrDevice s = {});

array arccos(const array& a, StreamOrDevice s = {});

array arctan(const array& a, StreamOrDevice s = {});

array arctan2(const array& a, const array& b, StreamOrDevice s = {});

array sinh(const array& a, StreamOrDevice s = {});

array cosh(const array& a, StreamOrDevice s = {});

array tanh(const array& a, StreamOrDevice s = {});

array arcsinh(const array& a, StreamOrDevice s = {});

array arccosh(const array& a, StreamOrDevice s = {});

array arctanh(const array& a, StreamOrDevice s = {});

array degrees(const array& a, StreamOrDevice s = {});

array radians(const array& a, StreamOrDevice s = {});

array log(const array& a, StreamOrDevice s = {});

array log2(const array& a, StreamOrDevice s = {});

array log10(const array& a, StreamOrDevice s = {});

array log1p(const array& a, StreamOrDevice s = {});

array logaddexp(const array& a, const array& b, StreamOrDevice s = {});

array sigmoid(const array& a, StreamOrDevice s = {});

array erf(const array& a, StreamOrDevice s = {});

array erfinv(const array& a, StreamOrDevice s = {});

array expm1(const array& a, StreamOrDevice s = {});

array round(const array& a, int decimals, StreamOrDevice s = {});
array round(const array& a, StreamOrDevice s = {});

array sqrt(const array& a, StreamOrDevice s = {});

array rsqrt(const array& a, StreamOrDevice s = {});

array power(const array& a, const array& b, StreamOrDevice s = {});

array conjugate(const array& a, StreamOrDevice s = {});

array bitwise_and(const array& a, const array& b, StreamOrDevice s = {});

array operator&(const array& a, const array& b);

array bitwise_or(const array& a, const array& b, StreamOrDevice s = {});

array operator|(const array& a, const array& b);

array bitwise_xor(const array& a, const array& b, StreamOrDevice s = {});

array operator^(const array& a, const array& b);

array left_shift(const array& a, const array& b, StreamOrDevice s = {});

array operator<<(const array& a, const array& b);

array right_shift(const array& a, const array& b, StreamOrDevice s = {});

array operator>>(const array& a, const array& b);

array bitwise_invert(const array& a, StreamOrDevice s = {});

array operator~(const array& a);

array real(const array& a, StreamOrDevice s = {});

array imag(const array& a, StreamOrDevice s = {});

}  // namespace mlx::core

#include "mlx/matrix_ops.h"
#include "mlx/reduce_ops.h"
#include "mlx/scalar_operators.h"
