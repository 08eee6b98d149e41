// The text around users' kernels compiles for every dtype and names the user's own lines where it
// does not. Needs the compiler alone, no GPU.
#include "compiles.h"
#include "mlx/mlx.h"
#include "mlx/ops/custom_kernel_text.h"

using namespace mlx::core;

namespace {

using Arguments = std::vector<std::pair<std::string, fast::TemplateArg>>;

std::string compile(const KernelDescription& kernel, const Arguments& arguments,
                    const std::vector<Dtype>& inputs, const std::vector<Dtype>& outputs) {
  return cuda::compile_source(kernel_text(kernel, arguments, inputs, outputs).text, "sm_90",
                              cuda::TextOf::user);
}

/** What the compiler says of a source, with one input and one output of float32. */
std::string words_about(const std::string& source, const std::string& header = "") {
  try {
    compile({"bad", {"x"}, {"y"}, source, header}, {}, {float32}, {float32});
  } catch (const std::runtime_error& failure) {
    return failure.what();
  }
  return "";
}

}  // namespace

class CustomKernels : public testing::TestWithParam<Dtype> {};

TEST_P(CustomKernels, CompileForEveryDtype) {
  KernelDescription kernel{"shift",
                           {"x", "offset"},
                           {"y"},
                           "int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
                           "if (i < n) {\n"
                           "  auto at = elem_to_loc(i, x_shape.data(), x_strides.data(), x_ndim);\n"
                           "  T value = x[at];\n"
                           "  y[i] = flag ? value : T(x[i % x_shape[0]]);\n"
                           "  extern __shared__ float scratch[];\n"
                           "  scratch[threadIdx.x] = twice(offset[0]) + (flag ? 1.0f : 0.0f);\n"
                           "}",
                           "float twice(float x) { return 2 * x; }"};
  EXPECT_NO_THROW(compile(kernel, {{"T", GetParam()}, {"n", 7}, {"flag", true}},
                          {GetParam(), float32}, {GetParam()}));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, CustomKernels, testing::ValuesIn(all_dtypes), dtype_label);

TEST(CustomKernelText, GroupsCooperate) {
  for (const char* groups : {"cooperative_groups", "cg"}) {
    std::string source = std::string("y[") + groups + "::this_grid().thread_rank()] = x[0];";
    EXPECT_EQ(words_about(source), "");
  }
}

TEST(CustomKernelText, HalfTypesConvert) {
  KernelDescription kernel{"convert", {"x"}, {"y"}, "float wide = x[0]; y[0] = expf(wide);", ""};
  for (Dtype in : {float16, bfloat16}) {
    EXPECT_NO_THROW(compile(kernel, {}, {in}, {in}));
  }
}

TEST(CustomKernelText, AsksForWhatTheSourceNames) {
  auto facts = [](const std::string& source) {
    return kernel_text({"k", {"x", "x_0"}, {"y"}, source, ""}, {}, {float32, float32}, {float32})
        .facts;
  };
  EXPECT_EQ(facts("y[0] = x[0];"), (std::vector<int>{0, 0}));
  EXPECT_EQ(facts("x_shape[0], x_0_strides[1]"), (std::vector<int>{1, 2}));
  EXPECT_EQ(facts("my_x_shape + x_shapes + x_ndim"), (std::vector<int>{4, 0}));
}

TEST(CustomKernelText, ErrorsNameTheUsersLines) {
  EXPECT_NE(words_about("y[0] = x[0];\ny[1] = wrong;").find("bad(2): error"), std::string::npos);
  EXPECT_NE(words_about("y[0] = f(x[0]);", "\n\nfloat f(float x) { return x + }")
                .find("bad.header(3): error"),
            std::string::npos);
  EXPECT_EQ(words_about("y[0] = wrong;").find("elem_to_loc"), std::string::npos);
}

TEST(CustomKernelText, NamesAreThoseOfCpp) {
  EXPECT_THROW(check_names({"a b", {}, {"y"}, "", ""}), std::invalid_argument);
  EXPECT_THROW(check_names({"k", {"1x"}, {"y"}, "", ""}), std::invalid_argument);
  EXPECT_THROW(check_names({"k", {"x"}, {"x"}, "", ""}), std::invalid_argument);
  EXPECT_THROW(check_names({"k", {"x"}, {}, "", ""}), std::invalid_argument);
}
