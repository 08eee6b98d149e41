// What follows from a primitive's list of fields: equality, hash, text and the walk over them.
#include <gtest/gtest.h>

#include <limits>
#include <sstream>

#include "mlx/mlx.h"
#include "mlx/primitives/conv.h"
#include "mlx/primitives/matmul.h"
#include "mlx/primitives/reduce.h"
#include "mlx/primitives/slice.h"
#include "mlx/primitives/sort.h"

using namespace mlx::core;

namespace {

const Stream stream = default_stream(Device::cpu);

void expect_same(const Primitive& a, const Primitive& b) {
  EXPECT_TRUE(a.is_equivalent(b));
  EXPECT_TRUE(b.is_equivalent(a));
  EXPECT_EQ(a.hash(), b.hash());
}

void expect_different(const Primitive& a, const Primitive& b) {
  EXPECT_FALSE(a.is_equivalent(b));
  EXPECT_FALSE(b.is_equivalent(a));
  EXPECT_NE(a.hash(), b.hash());
}

template <typename T>
std::string text(const T& value) {
  std::ostringstream os;
  os << value;
  return os.str();
}

struct Point {
  double x;
  std::optional<int> y;
  std::string label;
  auto fields() const { return std::tie(x, y, label); }
};

class Placed : public Described<Placed> {
 public:
  Placed(Stream s, Point at, std::vector<Point> more, Dtype dtype)
      : Described(s), at_(std::move(at)), more_(std::move(more)), dtype_(dtype) {}
  void eval_cpu(const std::vector<array>&, std::vector<array>&) override {}
  const char* name() const override { return "Placed"; }
  auto fields() const { return std::tie(at_, more_, dtype_); }

 private:
  Point at_;
  std::vector<Point> more_;
  Dtype dtype_;
};

}  // namespace

TEST(Fields, EqualParametersOfOneTypeAreEquivalent) {
  expect_same(Reduce(stream, ReduceOp::Sum, {0, 1}, true),
              Reduce(stream, ReduceOp::Sum, {0, 1}, true));
  expect_different(Reduce(stream, ReduceOp::Sum, {0, 1}, true),
                   Reduce(stream, ReduceOp::Sum, {0, 1}, false));
  expect_different(Reduce(stream, ReduceOp::Sum, {0}, true),
                   Reduce(stream, ReduceOp::Max, {0}, true));
  expect_different(Reduce(stream, ReduceOp::Sum, {0}, true),
                   Reduce(stream, ReduceOp::Sum, {1}, true));
}

TEST(Fields, TypesWithEqualParametersDiffer) {
  expect_different(DynamicSliceUpdate(stream, {1}), ArgReduce(stream, ArgReduce::ArgMax, 1, true));
  expect_different(Sort(stream, true), SearchSorted(stream, true));
  expect_same(Matmul(stream), Matmul(stream));
}

TEST(Fields, FieldsOfABaseCount) {
  expect_different(Partition(stream, true, 3), Partition(stream, false, 3));
  expect_different(Partition(stream, true, 3), Partition(stream, true, 4));
}

TEST(Fields, FloatsAreComparedByTheirBits) {
  float nan = std::numeric_limits<float>::quiet_NaN();
  expect_same(AddMM(stream, nan, 1), AddMM(stream, nan, 1));
  expect_different(AddMM(stream, 1, 0.0f), AddMM(stream, 1, -0.0f));
}

TEST(Fields, StructsAndListsAreComparedInDepth) {
  ConvParams params{{1}, {2}, {2}, {1}, {1}};
  expect_same(Convolution(stream, params), Convolution(stream, params));
  ConvParams flipped = params;
  flipped.flip = true;
  expect_different(Convolution(stream, params), Convolution(stream, flipped));
  Placed placed(stream, {1, 2, "a"}, {{3, {}, ""}}, float32);
  expect_same(placed, Placed(stream, {1, 2, "a"}, {{3, {}, ""}}, float32));
  expect_different(placed, Placed(stream, {1, {}, "a"}, {{3, {}, ""}}, float32));
  expect_different(placed, Placed(stream, {1, 2, "b"}, {{3, {}, ""}}, float32));
  expect_different(placed, Placed(stream, {1, 2, "a"}, {{3, 0, ""}}, float32));
  expect_different(placed, Placed(stream, {1, 2, "a"}, {}, float32));
  expect_different(placed, Placed(stream, {1, 2, "a"}, {{3, {}, ""}}, float16));
}

TEST(Fields, PrimitivesPrintTheirFields) {
  EXPECT_EQ(text(AddMM(stream, 0.5, 2)), "AddMM(0.5, 2)");
  EXPECT_EQ(text(Slice(stream, {{0, 1}, {2, 3}, {1, 1}})), "Slice([[0, 1], [2, 3], [1, 1]])");
  EXPECT_EQ(text(Placed(stream, {1.5, 2, "a"}, {{3, {}, ""}}, float32)),
            "Placed([1.5, [2], \"a\"], [[3, [], \"\"]], float32)");
  EXPECT_EQ(text(Matmul(stream)), "Matmul()");
}
