// What the run-time compiler may be given for the element-wise table compiles. Needs the compiler
// alone, no GPU.
#include "compiles.h"
#include "mlx/backend/cuda/jit.h"
#include "mlx/backend/cuda/program_source.h"

using namespace mlx::core;

namespace {

/** Every op of the table that takes this dtype, each on inputs of its own, and every cast. */
Program all_ops(Dtype dtype) {
  Program program;
  program.inputs = {dtype, dtype, bool_};
  for (int i = 0; i < elementwise_op_count; i++) {
    auto op = static_cast<ElementwiseOp>(i);
    if (op == ElementwiseOp::Cast) {
      for (Dtype to : all_dtypes) program.outputs.push_back(program.add_cast(0, to));
    } else if (op == ElementwiseOp::Select) {
      program.outputs.push_back(program.add(op, 2, 0, 1));
    } else if (elementwise_accepts(op, dtype)) {
      bool binary = elementwise_info(op).arity == 2;
      program.outputs.push_back(program.add(op, 0, binary ? 1 : 0));
    }
  }
  return program;
}

}  // namespace

class CudaSources : public testing::TestWithParam<Dtype> {};

TEST_P(CudaSources, EveryOpCompiles) {
  using Variant = cuda::ProgramVariant;
  Variant variant{{Variant::in_order, Variant::strided, Variant::one}, 1, 2, false};
  std::string code =
      cuda::compile_source(cuda::program_source(all_ops(GetParam()), variant), "sm_90");
  EXPECT_GT(code.size(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, CudaSources, testing::ValuesIn(all_dtypes), dtype_label);

TEST(CudaWalks, EveryWalkCompiles) {
  using Variant = cuda::ProgramVariant;
  Program program;
  program.inputs = {float16, bool_, float16};
  program.outputs = {program.add(ElementwiseOp::Select, 1, 0, 2)};
  for (auto access : {Variant::in_order, Variant::strided, Variant::one, Variant::given}) {
    for (int width : {1, 8}) {
      for (bool wide : {false, true}) {
        int rank = access == Variant::strided ? 3 : 0;
        Variant variant{{access, Variant::in_order, access}, width, rank, wide};
        EXPECT_NO_THROW(cuda::compile_source(cuda::program_source(program, variant), "sm_90"));
      }
    }
  }
}

/** An update as an optimizer makes it, with `scalars` numbers that come along. */
Program update(int scalars) {
  Program program;
  program.inputs.assign(static_cast<size_t>(2 + scalars), bfloat16);
  uint16_t value = 1;
  for (int i = 0; i < scalars; i++) {
    value = program.add(ElementwiseOp::Multiply, value, static_cast<uint16_t>(2 + i));
  }
  value = program.add(ElementwiseOp::Divide, 0, program.add(ElementwiseOp::Sqrt, value));
  program.outputs = {value, 1};
  return program;
}

TEST(CudaWalks, JoinedProgramsCompile) {
  using Variant = cuda::ProgramVariant;
  for (int scalars : {1, 5, 100}) {
    Program program = update(scalars);
    EXPECT_GE(cuda::most_parts(program), 2);
    for (int width : {1, 8}) {
      Variant variant{{}, width, 0, false};
      variant.joined = true;
      for (int i = 0; i < 2 + scalars; i++) {
        variant.inputs.push_back(i < 2 ? Variant::in_order : Variant::given);
      }
      EXPECT_NO_THROW(cuda::compile_source(cuda::program_source(program, variant), "sm_90"));
    }
  }
}

TEST(CudaWalks, GeneratedWordsCompile) {
  using Variant = cuda::ProgramVariant;
  Program program;
  program.inputs = {uint32, float32, uint32};
  auto words = program.add(ElementwiseOp::BitwiseXor, 0, 2);
  program.outputs = {program.add(ElementwiseOp::ErfInv, program.add_cast(words, float32)), 1};
  for (auto access : {Variant::in_order, Variant::strided, Variant::given}) {
    for (int width : {1, 4}) {
      for (bool wide : {false, true}) {
        int rank = access == Variant::strided ? 2 : 0;
        Variant variant{{Variant::made, access, Variant::made_given}, width, rank, wide};
        EXPECT_NO_THROW(cuda::compile_source(cuda::program_source(program, variant), "sm_90"));
      }
    }
  }
}
