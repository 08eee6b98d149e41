// The fused program: building, checking, equality, and the interpreter on every kind of layout.
#include "mlx/core/program.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/elementwise.h"
#include "mlx/backend/cpu/program.h"
#include "mlx/mlx.h"

namespace mlx::core {
namespace {

using Op = ElementwiseOp;

array ramp(Shape shape, Dtype dtype = float32) {
  array a = astype(reshape(arange(static_cast<int>(num_elements(shape))), shape), dtype);
  a.eval();
  return a;
}

/** The layout that nobody made on purpose: a node without data, to be filled by a run. */
array unfilled(Shape shape, Dtype dtype) { return array(std::move(shape), dtype, nullptr, {}); }

array run(const Program& program, const std::vector<array>& inputs, Shape shape) {
  std::vector<array> outputs{unfilled(std::move(shape), program.type_of(program.outputs[0]))};
  cpu::run_program(program, inputs, outputs);
  outputs[0].set_status(array::Status::available);
  return outputs[0];
}

template <typename T>
std::vector<T> values(const array& a) {
  array c = cpu::contiguous(a);
  return std::vector<T>(c.data<T>(), c.data<T>() + c.size());
}

/** (x + y) * x */
Program sum_times_first() {
  Program p;
  p.inputs = {float32, float32};
  uint16_t sum = p.add(Op::Add, 0, 1);
  p.outputs = {p.add(Op::Multiply, sum, 0)};
  return p;
}

TEST(Program, NumbersValuesAndPrints) {
  Program p = sum_times_first();
  p.validate();
  EXPECT_EQ(p.outputs[0], 3);
  EXPECT_EQ(p.to_string(),
            "%0: float32 = input\n%1: float32 = input\n%2: float32 = Add %0 %1\n"
            "%3: float32 = Multiply %2 %0\nreturn %3\n");
}

TEST(Program, EqualityAndHash) {
  Program a = sum_times_first(), b = sum_times_first();
  EXPECT_TRUE(a == b);
  EXPECT_EQ(a.hash(), b.hash());
  b.code[0].op = Op::Subtract;
  EXPECT_FALSE(a == b);
  EXPECT_NE(a.hash(), b.hash());
}

TEST(Program, ValidateRefusesWhatCannotRun) {
  Program late = sum_times_first();
  late.code[0].args[0] = 3;
  EXPECT_ANY_THROW(late.validate());
  Program mixed = sum_times_first();
  mixed.inputs[1] = int32;
  EXPECT_ANY_THROW(mixed.validate());
  Program no_output = sum_times_first();
  no_output.outputs.clear();
  EXPECT_ANY_THROW(no_output.validate());
  Program no_kernel;
  no_kernel.inputs = {int32};
  no_kernel.code.push_back({Op::Exp, int32, int32});
  no_kernel.outputs = {1};
  EXPECT_ANY_THROW(no_kernel.validate());
}

TEST(Program, EveryDeclaredKernelExists) {
  for (int op = 0; op < elementwise_op_count; ++op) {
    for (int t = 0; t < Dtype::count; ++t) {
      Dtype type = to_dtype(static_cast<Dtype::Val>(t));
      auto code = static_cast<Op>(op);
      if (code == Op::Cast || !elementwise_accepts(code, type)) continue;
      EXPECT_NE(cpu::elementwise_kernel(code, type), nullptr)
          << elementwise_info(code).name << " " << dtype_name(type);
    }
  }
}

TEST(RunProgram, EveryTailSize) {
  Program p = sum_times_first();
  for (int n = 0; n < 300; ++n) {
    array x = ramp({n}), y = ramp({n});
    auto out = values<float>(run(p, {x, y}, {n}));
    ASSERT_EQ(out.size(), static_cast<size_t>(n));
    for (int i = 0; i < n; ++i) ASSERT_EQ(out[i], 2.0f * i * i);
  }
}

TEST(RunProgram, BroadcastsScalarsRowsAndColumns) {
  Program p = sum_times_first();
  for (int columns : {1, 3, 7, 64, 300, 5000}) {
    int rows = 17;
    array m = ramp({rows, columns}), row = ramp({columns}), column = ramp({rows, 1});
    for (const array& other : {row, column, array(2.0f)}) {
      auto got = values<float>(run(p, {m, other}, {rows, columns}));
      for (int r = 0; r < rows; ++r) {
        for (int c = 0; c < columns; ++c) {
          float x = static_cast<float>(r * columns + c);
          float y = other.size() == 1 && other.ndim() == 0 ? 2.0f
                    : other.ndim() == 1                    ? static_cast<float>(c)
                                                           : static_cast<float>(r);
          ASSERT_EQ(got[r * columns + c], (x + y) * x) << columns << " " << r << " " << c;
        }
      }
    }
  }
}

TEST(RunProgram, TransposedInputsOfAnySize) {
  Program p = sum_times_first();
  for (int n : {2, 5, 33, 130, 400}) {
    array m = ramp({n, n + 1}), square = ramp({n + 1, n});
    array t = transpose(m);
    t.eval();
    auto got = values<float>(run(p, {t, square}, {n + 1, n}));
    for (int r = 0; r <= n; ++r) {
      for (int c = 0; c < n; ++c) {
        float x = static_cast<float>(c * (n + 1) + r), y = static_cast<float>(r * n + c);
        ASSERT_EQ(got[r * n + c], (x + y) * x);
      }
    }
  }
}

TEST(RunProgram, SharedDenseLayoutIsKept) {
  Program p = sum_times_first();
  array m = ramp({20, 30});
  array t = transpose(m);
  t.eval();
  array out = run(p, {t, t}, {30, 20});
  EXPECT_EQ(out.strides(), t.strides());
  EXPECT_TRUE(out.flags().col_contiguous);
  EXPECT_FLOAT_EQ(out.data<float>()[1], 2.0f);
}

TEST(RunProgram, DonatesOnlyAfterTheLastUse) {
  // The first output may not take over x, which the second still reads.
  Program p;
  p.inputs = {float32, float32};
  uint16_t negated = p.add(Op::Negative, 0);
  uint16_t sum = p.add(Op::Add, 0, 1);
  p.outputs = {negated, sum};
  int n = 10000;
  std::vector<array> inputs{ramp({n}) + array(0.0f), ramp({n}) + array(0.0f)};
  for (auto& in : inputs) in.eval(), in.detach();
  std::vector<array> outputs{unfilled({n}, float32), unfilled({n}, float32)};
  cpu::run_program(p, inputs, outputs);
  for (int i = 0; i < n; ++i) {
    ASSERT_EQ(outputs[0].data<float>()[i], -static_cast<float>(i));
    ASSERT_EQ(outputs[1].data<float>()[i], 2.0f * i);
  }
}

TEST(RunProgram, OutputsThatAreInputsOrRepeat) {
  Program p;
  p.inputs = {float32};
  uint16_t twice = p.add(Op::Add, 0, 0);
  p.outputs = {0, twice, twice};
  array x = ramp({3000});
  std::vector<array> outputs(3, unfilled({3000}, float32));
  for (auto& out : outputs) out = unfilled({3000}, float32);
  cpu::run_program(p, {x}, outputs);
  EXPECT_EQ(outputs[0].data<float>()[2999], 2999.0f);
  EXPECT_EQ(outputs[1].data<float>()[2999], 5998.0f);
  EXPECT_EQ(outputs[2].data<float>()[2999], 5998.0f);
}

TEST(RunProgram, RegistersOfDifferentSizesDoNotCollide) {
  Program p;
  p.inputs = {float32};
  uint16_t wide = p.add_cast(0, float64);
  uint16_t narrow = p.add_cast(0, int8);
  uint16_t test = p.add(Op::Greater, wide, p.add(Op::Square, wide));
  uint16_t chosen = p.add(Op::Select, test, p.add_cast(narrow, float64), wide);
  p.outputs = {p.add_cast(chosen, complex64)};
  array x(std::vector<float>{0.5f, 2.5f, -1.5f}.begin(), {3});
  array out = run(p, {x}, {3});
  EXPECT_EQ(out.data<complex64_t>()[0].real(), 0.0f);
  EXPECT_EQ(out.data<complex64_t>()[1].real(), 2.5f);
  EXPECT_EQ(out.data<complex64_t>()[2].real(), -1.5f);
}

TEST(RunProgram, LongProgramsOfScalars) {
  Program p;
  p.inputs.assign(2001, float32);
  uint16_t value = 0;
  for (uint16_t i = 1; i <= 2000; ++i) value = p.add(Op::Add, value, i);
  p.outputs = {value};
  for (int n : {1, 64, 3000}) {
    std::vector<array> inputs{full({n}, array(0.0f))};
    inputs[0].eval();
    for (int i = 1; i <= 2000; ++i) inputs.push_back(array(static_cast<float>(i % 7)));
    float expected = 0;
    for (int i = 1; i <= 2000; ++i) expected += static_cast<float>(i % 7);
    auto got = values<float>(run(p, inputs, {n}));
    EXPECT_EQ(got.front(), expected);
    EXPECT_EQ(got.back(), expected);
  }
}

TEST(Copy, StridedBothSidesAndTransposes) {
  for (auto [rows, columns] : {std::pair{1, 1}, {3, 5}, {64, 64}, {65, 130}, {700, 513}}) {
    for (Dtype type : {uint8, float16, int32, float64}) {
      array m = ramp({rows, columns}, type);
      array t = transpose(m);
      t.eval();
      array c = cpu::contiguous(t);
      ASSERT_TRUE(c.flags().row_contiguous);
      size_t size = type.size();
      for (int r = 0; r < rows; ++r) {
        for (int k = 0; k < columns; ++k) {
          ASSERT_EQ(0, std::memcmp(c.data<char>() + (size_t(k) * rows + r) * size,
                                   m.data<char>() + (size_t(r) * columns + k) * size, size));
        }
      }
    }
  }
}

TEST(Copy, LargeTransposeStreams) {
  int n = 2500;
  array m = ramp({n, n});
  array t = transpose(m);
  t.eval();
  array c = cpu::contiguous(t);
  for (int r = 0; r < n; r += 7) {
    for (int k = 0; k < n; ++k) ASSERT_EQ(c.data<float>()[k * n + r], m.data<float>()[r * n + k]);
  }
}

TEST(Copy, NegativeStridesAndFill) {
  array m = ramp({4, 6});
  array out = unfilled({4, 6}, float32);
  out.set_data(allocator::malloc(out.nbytes()));
  cpu::copy_strided(m.data<float>() + 23, {-6, -1}, out.data<float>(), {6, 1}, {4, 6}, 4);
  EXPECT_EQ(out.data<float>()[0], 23.0f);
  EXPECT_EQ(out.data<float>()[23], 0.0f);
  float seven = 7;
  cpu::fill(out, &seven);
  EXPECT_EQ(out.data<float>()[13], 7.0f);
}

}  // namespace
}  // namespace mlx::core
