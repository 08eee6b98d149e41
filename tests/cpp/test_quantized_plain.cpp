// The plain forms of quantisation give the bits that the kernels do: backends without kernels run
// them, and derivatives are made of them.
#include <gtest/gtest.h>

#include "mlx/mlx.h"
#include "mlx/optable/quantized.h"
#include "mlx/primitives/quantized_plain.h"

using namespace mlx::core;

namespace {

/** Values of many sizes, with zeros and constants among them. */
array values(Dtype dtype) {
  array w = random::normal({16, 192}, float32, 0, 1, random::key(3));
  array size = exp(random::uniform(array(-9.0f), array(5.0f), {16, 1}, float32, random::key(4)));
  array kind = remainder(arange(16), array(5.0f));
  auto is = [&](int i) { return expand_dims(equal(kind, array(static_cast<float>(i))), 1); };
  array all = multiply(w, size);
  all = where(is(1), abs(all), where(is(2), zeros_like(w), where(is(3), size, all)));
  return astype(all, dtype);
}

void expect_same(const array& a, const array& b, const char* what) {
  ASSERT_EQ(a.shape(), b.shape());
  ASSERT_EQ(a.dtype(), b.dtype());
  EXPECT_TRUE(array_equal(a, b, true).item<bool>()) << what;
}

void compare(const QuantizedFormat& format, Dtype dtype, const array* global) {
  Stream s = default_stream(default_device());
  const char* mode = quantization_row(format.mode).name;
  SCOPED_TRACE(testing::Message() << mode << " " << format.bits << "x" << format.group_size);
  array w = values(dtype);
  std::vector<array> inputs{w};
  if (global) inputs.push_back(*global);
  auto packed = quantize_node(format, inputs, s);
  auto plain = plain_quantize(format, w, global, s);
  for (size_t i = 0; i < packed.size(); i++) expect_same(packed[i], plain[i], "quantize");
  if (global) packed.push_back(*global);
  array dense = dequantize_node(format, dtype, packed, s);
  expect_same(dense, plain_dequantize(format, dtype, quantized_weight(format, packed, 0), s),
              "dequantize");
}

}  // namespace

TEST(QuantizedPlain, GivesTheBitsOfTheKernels) {
  for (auto& row : quantization_table) {
    for (int bits : row.bits.values) {
      for (int size : row.group_sizes.values) {
        if (192 % size != 0) continue;
        for (Dtype dtype : {float32, float16, bfloat16}) {
          compare({row.mode, bits, size}, dtype, nullptr);
        }
      }
    }
  }
}

TEST(QuantizedPlain, GivesTheBitsOfTheKernelsWithAGlobalScale) {
  array global(37.5f);
  for (Dtype dtype : {float32, float16, bfloat16}) {
    compare({QuantizationMode::Nvfp4, 4, 16}, dtype, &global);
  }
}
