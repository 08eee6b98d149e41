// C++ scalars beside an array, as in `2 * x`: they become arrays of their own type, which then take
// part in promotion like any other array. Part of mlx/ops.h, which includes it at its end.
#pragma once

#include <type_traits>
#include <utility>

#include "mlx/ops.h"

namespace mlx::core {

template <Scalar T>
array full(Shape shape, T value, Dtype dtype, StreamOrDevice s = {}) {
  return full(std::move(shape), array(value, dtype), dtype, s);
}
template <Scalar T>
array full(Shape shape, T value, StreamOrDevice s = {}) {
  return full(std::move(shape), array(value), s);
}

template <Scalar T>
array full_like(const array& a, T value, Dtype dtype, StreamOrDevice s = {}) {
  return full_like(a, array(value, dtype), dtype, s);
}
template <Scalar T>
array full_like(const array& a, T value, StreamOrDevice s = {}) {
  return full_like(a, array(value, a.dtype()), s);
}

template <Scalar T>
array operator+(T a, const array& b) {
  return add(array(a), b);
}
template <Scalar T>
array operator+(const array& a, T b) {
  return add(a, array(b));
}

template <Scalar T>
array operator-(T a, const array& b) {
  return subtract(array(a), b);
}
template <Scalar T>
array operator-(const array& a, T b) {
  return subtract(a, array(b));
}

template <Scalar T>
array operator*(T a, const array& b) {
  return multiply(array(a), b);
}
template <Scalar T>
array operator*(const array& a, T b) {
  return multiply(a, array(b));
}

template <Scalar T>
array operator%(T a, const array& b) {
  return remainder(array(a), b);
}
template <Scalar T>
array operator%(const array& a, T b) {
  return remainder(a, array(b));
}

template <Scalar T>
array operator==(T a, const array& b) {
  return equal(array(a), b);
}
template <Scalar T>
array operator==(const array& a, T b) {
  return equal(a, array(b));
}

template <Scalar T>
array operator!=(T a, const array& b) {
  return not_equal(array(a), b);
}
template <Scalar T>
array operator!=(const array& a, T b) {
  return not_equal(a, array(b));
}

template <Scalar T>
array operator<(T a, const array& b) {
  return less(array(a), b);
}
template <Scalar T>
array operator<(const array& a, T b) {
  return less(a, array(b));
}

template <Scalar T>
array operator<=(T a, const array& b) {
  return less_equal(array(a), b);
}
template <Scalar T>
array operator<=(const array& a, T b) {
  return less_equal(a, array(b));
}

template <Scalar T>
array operator>(T a, const array& b) {
  return greater(array(a), b);
}
template <Scalar T>
array operator>(const array& a, T b) {
  return greater(a, array(b));
}

template <Scalar T>
array operator>=(T a, const array& b) {
  return greater_equal(array(a), b);
}
template <Scalar T>
array operator>=(const array& a, T b) {
  return greater_equal(a, array(b));
}

}  // namespace mlx::core
