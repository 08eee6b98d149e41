// The Hadamard transform, by products with the small matrices whose Kronecker product is the whole.
#include <algorithm>
#include <bit>
#include <cmath>
#include <string_view>
#include <vector>

#include "mlx/core/errors.h"
#include "mlx/ops.h"

namespace mlx::core {

namespace {

using Signs = std::vector<float>;

float sign(char c) { return c == '+' ? 1.0f : -1.0f; }

/** Sylvester's matrix of order 2^k: minus where the numbers of row and column share an odd number
 *  of bits. */
Signs sylvester(int order) {
  Signs h;
  for (int i = 0; i < order; i++) {
    for (int j = 0; j < order; j++)
      h.push_back(std::popcount(static_cast<unsigned>(i & j)) % 2 ? -1.0f : 1.0f);
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

Signs odd_factor(int order) {
  return order == 12   ? paley()
         : order == 20 ? williamson({"+----", "+----", "++--+", "+-++-"})
                       : williamson({"+------", "++----+", "+-+--+-", "+--++--"});
}

/** Orders of the factors of n, from the slowest to the fastest axis. */
std::vector<int> factors(int n) {
  constexpr int most = 64;  // large enough to keep the cost low, small enough for caches
  std::vector<int> orders;
  int power = n & -n, odd = n > 0 ? n / power : 0;
  bool known = odd == 1 || ((odd == 3 || odd == 5 || odd == 7) && power >= 4);
  check(known, "hadamard_transform", "The last dimension must be m * 2^k with m in 1, 12, 20 and ",
        "28, but is ", n, ".");
  if (odd > 1) {
    orders.push_back(4 * odd);
    power /= 4;
  }
  while (power > 1) {
    orders.push_back(std::min(power, most));
    power /= orders.back();
  }
  return orders;
}

/** x (..., order, inner) with the matrix of that order applied to the axis before the last. */
array transformed(const array& x, int order, StreamOrDevice s) {
  Signs h = (order & (order - 1)) == 0 ? sylvester(order) : odd_factor(order);
  array matrix = astype(array(h.begin(), {order, order}), x.dtype(), s);
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
