// A primitive written outside the library: axpby(x, y) = alpha * x + beta * y with its own CPU
// code, its derivatives and its rule for vmap. It works in every transform as a built-in op does.
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "mlx/mlx.h"

namespace mx = mlx::core;

namespace {

mx::array axpby(const mx::array& x, const mx::array& y, float alpha, float beta,
                mx::StreamOrDevice s = {});

class Axpby : public mx::Primitive {
 public:
  Axpby(mx::Stream stream, float alpha, float beta)
      : mx::Primitive(stream), alpha_(alpha), beta_(beta) {}

  void eval_cpu(const std::vector<mx::array>& inputs, std::vector<mx::array>& outputs) override {
    mx::array& out = outputs[0];
    out.set_data(mx::allocator::malloc(out.nbytes()));
    const float* x = inputs[0].data<float>();
    const float* y = inputs[1].data<float>();
    float* result = out.data<float>();
    for (size_t i = 0; i < out.size(); i++) {
      result[i] = alpha_ * x[i] + beta_ * y[i];
    }
  }

  void eval_gpu(const std::vector<mx::array>&, std::vector<mx::array>&) override {
    throw std::runtime_error("Axpby has no GPU code");
  }

  std::vector<mx::array> jvp(const std::vector<mx::array>&, const std::vector<mx::array>& tangents,
                             const std::vector<int>& argnums) override {
    // Linear in both arguments: a missing tangent counts as zero.
    if (argnums.size() == 2) {
      return {axpby(tangents[0], tangents[1], alpha_, beta_, stream())};
    }
    return {mx::multiply(mx::array(scale(argnums[0])), tangents[0], stream())};
  }

  std::vector<mx::array> vjp(const std::vector<mx::array>&,
                             const std::vector<mx::array>& cotangents,
                             const std::vector<int>& argnums,
                             const std::vector<mx::array>&) override {
    std::vector<mx::array> grads;
    for (int argnum : argnums) {
      grads.push_back(mx::multiply(mx::array(scale(argnum)), cotangents[0], stream()));
    }
    return grads;
  }

  std::pair<std::vector<mx::array>, std::vector<int>> vmap(const std::vector<mx::array>& inputs,
                                                           const std::vector<int>& axes) override {
    // Bring the batch to the front of both; an argument without one is broadcast along it.
    auto front = [&](int i) {
      return axes[i] < 0 ? mx::expand_dims(inputs[i], 0, stream())
                         : mx::moveaxis(inputs[i], axes[i], 0, stream());
    };
    return {{axpby(front(0), front(1), alpha_, beta_, stream())}, {0}};
  }

  std::vector<mx::Shape> output_shapes(const std::vector<mx::array>& inputs) override {
    return {inputs[0].shape()};
  }

  bool is_equivalent(const mx::Primitive& other) const override {
    const auto& o = static_cast<const Axpby&>(other);
    return alpha_ == o.alpha_ && beta_ == o.beta_;
  }

  const char* name() const override { return "Axpby"; }

 private:
  float scale(int argnum) const { return argnum == 0 ? alpha_ : beta_; }

  float alpha_;
  float beta_;
};

// Broadcasts, converts to float32 and makes the node. The data of its inputs must be dense, which
// `contiguous` sees to, so that eval_cpu can walk it with a plain index.
mx::array axpby(const mx::array& x, const mx::array& y, float alpha, float beta,
                mx::StreamOrDevice s) {
  auto inputs =
      mx::broadcast_arrays({mx::astype(x, mx::float32, s), mx::astype(y, mx::float32, s)}, s);
  for (auto& input : inputs) {
    input = mx::contiguous(input, false, s);
  }
  const mx::Shape shape = inputs[0].shape();
  return mx::array(shape, mx::float32, std::make_shared<Axpby>(mx::to_stream(s), alpha, beta),
                   std::move(inputs));
}

bool expect(const char* what, const mx::array& got, const mx::array& wanted) {
  const bool same = mx::array_equal(got, wanted).item<bool>();
  std::printf("%-28s %s\n", what, same ? "ok" : "WRONG");
  return same;
}

}  // namespace

int main() {
  const mx::array x({1.0f, 2.0f, 3.0f});
  const mx::array y({10.0f, 20.0f, 30.0f});
  auto f = [](const mx::array& a, const mx::array& b) { return axpby(a, b, 4.0f, 2.0f); };

  bool ok = expect("value", f(x, y), mx::array({24.0f, 48.0f, 72.0f}));

  auto sum_of_squares = [&](const std::vector<mx::array>& v) {
    return mx::sum(mx::square(f(v[0], v[1])));
  };
  auto grads = mx::grad(sum_of_squares, std::vector<int>{0, 1})({x, y});
  ok &= expect("gradient for x", grads[0], mx::array({192.0f, 384.0f, 576.0f}));
  ok &= expect("gradient for y", grads[1], mx::array({96.0f, 192.0f, 288.0f}));

  auto along_x = [&](const mx::array& a) { return f(a, y); };
  auto tangent = mx::jvp(along_x, x, mx::ones_like(x)).second;
  ok &= expect("tangent along x", tangent, mx::full({3}, 4.0f));

  const mx::array rows = mx::stack({x, y, x + y});
  ok &= expect("vmap over rows of x", mx::vmap(along_x)(rows), axpby(rows, y, 4.0f, 2.0f));

  auto compiled = mx::compile([&](const std::vector<mx::array>& v) {
    return std::vector<mx::array>{mx::exp(f(v[0], v[1]) - 24.0f)};
  });
  ok &= expect("inside compile", compiled({x, y})[0], mx::exp(f(x, y) - 24.0f));
  return ok ? 0 : 1;
}
