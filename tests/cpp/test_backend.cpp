// The contract of backends as the CPU keeps it: the table of functions by type, who is asked for
// support, and observers of steps.
#include "mlx/backend/backend.h"

#include <gtest/gtest.h>

#include <string>

#include "mlx/backend/common/registry.h"
#include "mlx/mlx.h"
#include "mlx/primitives/matmul.h"
#include "mlx/primitives/sort.h"

using namespace mlx::core;

namespace {

PrimitiveTable& table() {
  static PrimitiveTable table;
  return table;
}

void mark(array& out, float value) {
  out.set_data(allocator::malloc(out.nbytes()));
  out.data<float>()[0] = value;
}

void run_sort(Sort& node, const std::vector<array>&, std::vector<array>& outputs) {
  mark(outputs[0], node.positions() ? 2 : 1);
}
void run_matmul(Matmul&, const std::vector<array>&, std::vector<array>& outputs) {
  mark(outputs[0], 3);
}
bool takes_sort(const Sort& node, const std::vector<array>& inputs) {
  return !node.positions() && inputs[0].dtype() == float32;
}

/** A user's own primitive: it brings its functions. */
class Own : public UnaryPrimitive {
 public:
  using UnaryPrimitive::UnaryPrimitive;
  void eval_cpu(const std::vector<array>&, array& out) override { mark(out, 7); }
  void eval_gpu(const std::vector<array>&, array& out) override { mark(out, 7); }
  const char* name() const override { return "Own"; }
};

class Failing : public Own {
 public:
  using Own::Own;
  void eval_cpu(const std::vector<array>&, array&) override { throw std::runtime_error("no"); }
};

class Journal : public StepObserver {
 public:
  void before_step(const Primitive& primitive, const std::vector<array>& inputs) override {
    text += "(" + std::string(primitive.name()) + std::to_string(inputs.size());
  }
  void after_step(const Primitive&, const std::vector<array>&,
                  const std::vector<array>& outputs) override {
    text += outputs[0].data_shared_ptr() ? ")" : "?";
  }
  std::string text;
};

template <typename P>
array own(const Stream& s) {
  return array(Shape{1}, float32, std::make_shared<P>(s), {});
}

}  // namespace

TEST(Backend, TablesFindFunctionsByType) {
  Stream s = default_stream(Device::cpu);
  RegisterIn<Sort, table> sort(run_sort, takes_sort);
  RegisterIn<Matmul, table> matmul(run_matmul);
  array x({1.0f});
  std::vector<array> outputs{array(Shape{1}, float32, nullptr, {})};
  Sort values(s, false), positions(s, true);
  Matmul product(s);
  table().find(positions)->eval(positions, {x}, outputs);
  EXPECT_EQ(outputs[0].data<float>()[0], 2);
  table().find(product)->eval(product, {x, x}, outputs);
  EXPECT_EQ(outputs[0].data<float>()[0], 3);
  EXPECT_EQ(table().find(SearchSorted(s, true)), nullptr);
  EXPECT_EQ(table().find(Own(s)), nullptr);

  EXPECT_TRUE(table().supports(values, {x}));
  EXPECT_FALSE(table().supports(positions, {x}));
  EXPECT_FALSE(table().supports(values, {astype(x, float16)}));
  EXPECT_TRUE(table().supports(product, {x, x}));
  EXPECT_FALSE(table().supports(SearchSorted(s, true), {x, x}));
  EXPECT_TRUE(table().supports(Own(s), {}));
}

TEST(Backend, TypesHaveNumbersOfTheirOwn) {
  Stream s = default_stream(Device::cpu);
  EXPECT_EQ(Sort(s, false).type_number(), Sort(s, true).type_number());
  EXPECT_NE(Sort(s, false).type_number(), Matmul(s).type_number());
  EXPECT_EQ(Own(s).type_number(), 0u);
}

TEST(Backend, ObserversSeeStepsFromFirstToLast) {
  Stream s = default_stream(Device::cpu);
  Journal journal;
  add_step_observer(&journal);
  matmul(reshape(own<Own>(s), {1, 1}, s), array({1.0f}, {1, 1}), s).eval();
  array failed = own<Failing>(s);
  EXPECT_THROW(failed.eval(), std::runtime_error);
  remove_step_observer(&journal);
  own<Own>(s).eval();
  EXPECT_EQ(journal.text, "(Own0)(Reshape1)(Matmul2)(Own0");
}
