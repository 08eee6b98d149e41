// What bdsdc does, with the parts of its tree in parallel down to where each is small.
#include "mlx/backend/cpu/linalg_bidiagonal.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "mlx/backend/cpu/lapack.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int smallest = 64;  // rows of a part that is not divided further

template <typename Real>
constexpr Real eps = std::numeric_limits<Real>::epsilon() / 2;

/** Rows of the matrix, and one column more than rows where another part follows. */
struct Part {
  int start, rows, more;
};

template <typename Real>
class Tree {
 public:
  Tree(int n, Real* d, Real* e, Real* u, Real* vt) : n_(n), d_(d), e_(e), u_(u), vt_(vt) {
    levels_.push_back({{0, n, 0}});
    while (levels_.back().front().rows > smallest) {
      divide();
    }
  }

  int run() {
    set_identity(u_);
    set_identity(vt_);
    for_parts(levels_.back(), [&](const Part& part) { return solve(part); });
    for (auto level = levels_.rbegin() + 1; level != levels_.rend(); ++level) {
      for_parts(*level, [&](const Part& part) { return merge(part); });
    }
    if (info_ == 0) {
      sort();
    }
    return info_;
  }

 private:
  void divide() {
    std::vector<Part> parts;
    for (const Part& part : levels_.back()) {
      int left = part.rows / 2;
      parts.push_back({part.start, left, 1});
      parts.push_back({part.start + left + 1, part.rows - left - 1, part.more});
    }
    levels_.push_back(parts);
  }

  void set_identity(Real* x) const {
    std::fill_n(x, int64_t{n_} * n_, Real{0});
    for (int64_t i = 0; i < n_; i++) {
      x[i * (n_ + 1)] = 1;
    }
  }

  template <typename F>
  void for_parts(const std::vector<Part>& parts, F f) {
    parallel_for(static_cast<int64_t>(parts.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end && info_ == 0; i++) {
        int info = f(parts[i]);
        if (info != 0) {
          info_ = info;
        }
      }
    });
  }

  int64_t corner(const Part& part) const { return part.start * (int64_t{n_} + 1); }

  int solve(const Part& part) const {
    constexpr int leaf = 25;
    size_t columns = part.rows + part.more;
    std::vector<Real> work(3 * columns * columns + 2 * columns);
    std::vector<int> iwork(8 * columns);
    int info = 0;
    lapack_.lasd0(&part.rows, &part.more, d_ + part.start, e_ + part.start, u_ + corner(part), &n_,
                  vt_ + corner(part), &n_, &leaf, iwork.data(), work.data(), &info);
    return info;
  }

  int merge(const Part& part) const {
    int left = part.rows / 2, right = part.rows - left - 1, info = 0;
    size_t columns = part.rows + part.more;
    Real *d = d_ + part.start, alpha = d[left], beta = e_[part.start + left];
    std::vector<int> order(part.rows), iwork(4 * columns);
    ascending(d, left, order.data());
    ascending(d + left + 1, right, order.data() + left + 1);
    std::vector<Real> work(3 * columns * columns + 2 * columns);
    lapack_.lasd1(&left, &right, &part.more, d, &alpha, &beta, u_ + corner(part), &n_,
                  vt_ + corner(part), &n_, order.data(), iwork.data(), work.data(), &info);
    return info;
  }

  /** The order of values, counted from 1. */
  static void ascending(const Real* values, int count, int* order) {
    std::iota(order, order + count, 1);
    std::stable_sort(order, order + count,
                     [values](int a, int b) { return values[a - 1] < values[b - 1]; });
  }

  void sort() const {
    std::vector<int> order(n_);
    ascending(d_, n_, order.data());
    std::reverse(order.begin(), order.end());
    size_t n = n_;
    std::vector<Real> d(d_, d_ + n), u(u_, u_ + n * n), vt(vt_, vt_ + n * n);
    for (size_t j = 0; j < n; j++) {
      size_t from = order[j] - 1;
      d_[j] = d[from];
      std::copy_n(u.data() + from * n, n, u_ + j * n);
      for (size_t i = 0; i < n; i++) {
        vt_[i + j * n] = vt[order[i] - 1 + j * n];
      }
    }
  }

  const Lapack<Real>& lapack_ = Lapack<Real>::instance();
  int n_;
  Real *d_, *e_, *u_, *vt_;
  std::vector<std::vector<Part>> levels_;
  std::atomic<int> info_{0};
};

template <typename Real>
void scale(Real* x, int count, Real by) {
  std::for_each(x, x + count, [by](Real& value) { value *= by; });
}

template <typename Real>
int decompose_by_lapack(bool upper, int n, Real* d, Real* e, Real* u, Real* vt) {
  std::vector<Real> work((3 * size_t(n) + 4) * n);
  std::vector<int> iwork(8 * size_t(n));
  int info = 0;
  Lapack<Real>::instance().bdsdc(upper ? "U" : "L", "I", &n, d, e, u, &n, vt, &n, nullptr, nullptr,
                                 work.data(), iwork.data(), &info, 1, 1);
  return info;
}

}  // namespace

template <typename Real>
int decompose_bidiagonal(bool upper, int n, Real* d, Real* e, Real* u, Real* vt) {
  auto greater = [](Real most, Real x) { return std::max(most, std::abs(x)); };
  Real norm = std::accumulate(e, e + n - 1, std::accumulate(d, d + n, Real{0}, greater), greater);
  bool falls_apart =
      std::any_of(e, e + n - 1, [norm](Real x) { return !(std::abs(x) > eps<Real> * norm); });
  if (!upper || falls_apart || n < 2 * smallest) {
    return decompose_by_lapack(upper, n, d, e, u, vt);
  }
  scale(d, n, 1 / norm);
  scale(e, n - 1, 1 / norm);
  std::for_each(d, d + n,
                [](Real& x) { x = std::abs(x) < eps<Real> ? std::copysign(eps<Real>, x) : x; });
  int info = Tree<Real>(n, d, e, u, vt).run();
  scale(d, n, norm);
  return info;
}

template int decompose_bidiagonal(bool, int, float*, float*, float*, float*);
template int decompose_bidiagonal(bool, int, double*, double*, double*, double*);

}  // namespace mlx::core::cpu
