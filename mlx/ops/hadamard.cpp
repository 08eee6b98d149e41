// The Hadamard transform, by products with the small matrices whose Kronecker product is the whole.
#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "mlx/core/errors.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

using Signs = std::vector<float>;

float sign(char c) { return c == '+' ? 1.0f : -1.0f; }

/** Sylvester's matrix of order 2^k: four times the one of half the order, the last negated. */
Signs sylvester(int order) {
  Signs h(static_cast<size_t>(order) * order, 1.0f);
  for (int half = 1; half < order; half *= 2) {
    for (int i = 0; i < half; i++) {
      float *upper = &h[static_cast<size_t>(i) * order], *lower = upper + half * order;
      for (int j = 0; j < half; j++) {
        upper[half + j] = lower[j] = upper[j];
        lower[half + j] = -upper[j];
      }
    }
  }
  return h;
}

/** Paley's second construction over the field of five: order 12. */
Signs paley() {
  constexpr std::string_view residues = "++--+";  // of differences; the first is not used
  constexpr float diagonal[2][2] = {{1, -1}, {-1, -1}}, other[2][2] = {{1, 1}, {1, -1}};
  Signs h;
  for (int i = 0; i < 12; i++) {
    for (int j = 0; j < 12; j++) {
      int row = i / 2, column = j / 2;
      bool border = row == 0 || column == 0;
      float residue = border ? 1.0f : sign(residues[(column - row + 5) % 5]);
      h.push_back(row == column ? diagonal[i % 2][j % 2] : residue * other[i % 2][j % 2]);
    }
  }
  return h;
}

/** Williamson's array of four circulant blocks, each given by its first row. */
Signs williamson(const std::string_view (&rows)[4]) {
  constexpr int block[4][4] = {{0, 1, 2, 3}, {1, 0, 3, 2}, {2, 3, 0, 1}, {3, 2, 1, 0}};
  constexpr std::string_view signs[4] = {"++++", "-+-+", "-++-", "--++"};
  int size = static_cast<int>(rows[0].size());
  Signs h;
  for (int i = 0; i < 4 * size; i++) {
    for (int j = 0; j < 4 * size; j++) {
      int r = i / size, c = j / size;
      h.push_back(sign(signs[r][c]) * sign(rows[block[r][c]][(j - i % size + size) % size]));
    }
  }
  return h;
}

/** The part of an order that is no power of two: 12, 20, 28, or 1. */
int odd_part(int order) {
  int odd = order / (order & -order);
  return odd == 1 ? 1 : 4 * odd;
}

Signs odd_matrix(int order) {
  return order == 12   ? paley()
         : order == 20 ? williamson({"+----", "+----", "++--+", "+-++-"})
         : order == 28 ? williamson({"+------", "++----+", "+-+--+-", "+--++--"})
                       : Signs{1.0f};
}

/** The matrix of any order: the Kronecker product of its two parts. */
array matrix_of(int order) {
  int outer = odd_part(order), inner = order / outer;
  Signs signs = odd_matrix(outer), block = sylvester(inner), h;
  h.reserve(static_cast<size_t>(order) * order);
  for (int i = 0; i < order; i++) {
    const float* row = &block[static_cast<size_t>(i % inner) * inner];
    for (int j = 0; j < outer; j++) {
      float factor = signs[static_cast<size_t>(i / inner) * outer + j];
      for (int k = 0; k < inner; k++) h.push_back(factor * row[k]);
    }
  }
  return array(h.begin(), {order, order});
}

/** Orders of the factors of n, from the slowest to the fastest axis. Small products cost more than
 *  their arithmetic, so there are few factors, and what lies behind all but the last is wide. */
std::vector<int> factors(int n) {
  constexpr int whole = 256, part = 128;
  int power = n & -n, odd = n > 0 ? n / power : 0;
  bool known = odd == 1 || ((odd == 3 || odd == 5 || odd == 7) && power >= 4);
  check(known, "hadamard_transform", "The last dimension must be m * 2^k with m in 1, 12, 20 and ",
        "28, but is ", n, ".");
  std::vector<int> orders;
  power = n / odd_part(n);
  while (n > whole && power > 1) {
    orders.push_back(std::min(power, part));
    power /= orders.back();
    n /= orders.back();
  }
  if (n > 1) orders.push_back(n);
  std::reverse(orders.begin(), orders.end());
  return orders;
}

/** x (..., order, inner) with the matrix of that order applied to the axis before the last. */
array transformed(const array& x, int order, StreamOrDevice s) {
  array matrix = astype(matrix_of(order), x.dtype(), s);
  // Rows alone are multiplied from the right: one product instead of one for each row.
  return x.shape(-1) == 1 ? expand_dims(matmul(squeeze(x, -1, s), transpose(matrix, s), s), -1, s)
                          : matmul(matrix, x, s);
}

}  // namespace

array hadamard_transform(const array& a, std::optional<float> scale, StreamOrDevice s) {
  int n = a.ndim() == 0 ? 1 : a.shape(-1);
  std::vector<int> orders = factors(n);
  Dtype dtype = issubdtype(a.dtype(), inexact) ? a.dtype() : float32;
  Dtype computed = dtype.size() < 4 ? float32 : dtype;
  if (a.size() == 0) return zeros(a.shape(), dtype, s);
  array x = astype(a, computed, s);
  int inner = n;
  for (int order : orders) {
    inner /= order;
    x = transformed(reshape(x, {-1, order, inner}, s), order, s);
  }
  float factor = scale.value_or(1.0f / std::sqrt(static_cast<float>(n)));
  return astype(multiply(reshape(x, a.shape(), s), array(factor, computed), s), dtype, s);
}

}  // namespace mlx::core
