// What signatures cannot tell of the C++ API: which dtype a C++ number makes, how half types round
// and mix, who releases memory that was handed over, and what devices and files say.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "mlx/io/load.h"
#include "mlx/mlx.h"
#include "mlx/types/limits.h"

using namespace mlx::core;

TEST(PublicApi, PlainLiteralsMakeTheCommonTypes) {
  EXPECT_EQ(array(2.0).dtype(), float32);
  EXPECT_EQ(array({1.0, 2.0}).dtype(), float32);
  std::vector<double> values{1.5, 2.5};
  EXPECT_EQ(array(values.begin(), {2}).dtype(), float32);
  EXPECT_EQ(array(values.begin(), {2}, float64).dtype(), float64);
  EXPECT_EQ((array({1.0f}) * 2.0).dtype(), float32);
  EXPECT_EQ(array(0.1, float64).item<double>(), 0.1);
  EXPECT_EQ(array(2).dtype(), int32);
  EXPECT_EQ(array(2ll).dtype(), int64);
  EXPECT_EQ(array(bfloat16_t(2)).dtype(), bfloat16);
}

TEST(PublicApi, FullTakesNumbers) {
  EXPECT_EQ(full({2}, 3, float16).dtype(), float16);
  EXPECT_EQ(full({2}, 3).dtype(), int32);
  array like = full_like(array({1, 2}), 2.5f, float32);
  EXPECT_EQ(like.dtype(), float32);
  EXPECT_EQ(sum(like).item<float>(), 5.0f);
  EXPECT_EQ(full_like(array({1, 2}), 2.5f).dtype(), int32);
}

TEST(PublicApi, DistributionsTakeNumbers) {
  auto key = random::key(3);
  array drawn = random::uniform(2.0f, 3, {100}, float32, key);
  EXPECT_TRUE(all(drawn >= 2.0f).item<bool>() && all(drawn < 3.0f).item<bool>());
  EXPECT_TRUE(array_equal(random::randint(0, 9, {50}, int32, key),
                          random::randint(array(0), array(9), {50}, int32, key))
                  .item<bool>());
  EXPECT_TRUE(all(random::bernoulli(1.0f, {10}, key)).item<bool>());
  EXPECT_EQ(random::bernoulli(0.5, key).ndim(), 0u);
}

TEST(PublicApi, ComplexNumbersKeepBothPartsAndTheirWidth) {
  complex128_t wide(1.0 / 3, -2.0);
  EXPECT_EQ(complex64_t(wide), complex64_t(1.0f / 3, -2.0f));
  EXPECT_EQ(complex128_t(complex64_t(1.5f, -2.0f)), complex128_t(1.5, -2.0));
  array z(wide);
  EXPECT_EQ(z.dtype(), complex128);
  EXPECT_EQ(array(std::complex<double>(wide)).item<complex128_t>(), wide);
  EXPECT_EQ(z.item<complex64_t>(), complex64_t(wide));
  EXPECT_EQ(z.item<double>(), 1.0 / 3);
  EXPECT_EQ(array(wide, float64).item<double>(), 1.0 / 3);
  EXPECT_EQ(array({wide, wide}, {2}).dtype(), complex128);
  EXPECT_EQ(promote_types(float64, complex64), complex128);
  EXPECT_EQ(promote_types(float32, complex64), complex64);
  EXPECT_EQ(abs(z).dtype(), float64);
  EXPECT_TRUE(complex128_t(1, 2) < complex128_t(1, 3) && complex128_t(2, 0) >= wide);
}

TEST(PublicApi, HalfTypesMixAndConvert) {
  float16_t half(1.5f);
  bfloat16_t brain(half);
  EXPECT_EQ(static_cast<float>(brain), 1.5f);
  EXPECT_EQ(static_cast<float>(float16_t(complex64_t(2.5f, 1.0f))), 2.5f);
  EXPECT_EQ(complex64_t(brain), complex64_t(1.5f, 0.0f));
  EXPECT_EQ(static_cast<float>(half + 1), 2.5f);
  EXPECT_EQ(half * 0.1, 1.5 * 0.1);                           // a double stays one
  EXPECT_EQ(static_cast<float>(half + int64_t(2048)), 2050);  // 2049.5, which float16 rounds
  EXPECT_EQ(half + brain, 3.0f);
  EXPECT_TRUE(half < 2 && 1 < half && half == 1.5 && half != true);
  half += 0.5f;
  EXPECT_EQ((half | uint16_t(0x8000)).bits_, 0xc000);
  EXPECT_EQ(static_cast<float>(-half), -2.0f);
  std::vector<bool> flags{true};
  half = flags[0];
  EXPECT_EQ(static_cast<float>(half), 1.0f);
  EXPECT_EQ(static_cast<float>(numeric_limits<float16_t>::max()), 65504.0f);
  EXPECT_EQ(static_cast<float>(numeric_limits<bfloat16_t>::epsilon()), 0.0078125f);
}

TEST(PublicApi, MemoryIsReleasedAsItWasHandedOver) {
  float values[] = {1, 2, 3};
  int released = 0;
  {
    ASSERT_TRUE(allocator::can_reuse_alien_buffer(values));
    auto release = [&](allocator::Buffer buffer) {
      EXPECT_EQ(buffer.raw_ptr(), values);
      allocator::release(buffer);
      released++;
    };
    array lent(allocator::make_buffer(values, sizeof(values)), {3}, float32, release);
    EXPECT_EQ(sum(lent).item<float>(), 6.0f);
    EXPECT_EQ(lent.buffer_size(), sizeof(values));
  }
  EXPECT_EQ(released, 1);
  size_t before = get_active_memory();
  {
    array own({4}, float32, nullptr, {});
    own.set_data(allocator::malloc(16), allocator::free);
    EXPECT_GE(get_active_memory(), before + 16);
    EXPECT_FALSE(own.data_shared_ptr()->d);  // memory of the allocator can be written over
    array::Data moved(std::move(*own.data_shared_ptr()));
    EXPECT_EQ(own.buffer().ptr(), nullptr);
  }
  EXPECT_EQ(get_active_memory(), before);
  auto& host = allocator::allocator();
  auto buffer = host.malloc(100);
  EXPECT_GE(host.size(buffer), 100u);
  host.free(buffer);
}

TEST(PublicApi, DevicesSayWhatTheyAre) {
  EXPECT_TRUE(cpu::is_available());
  EXPECT_EQ(cpu::device_count(), 1);
  EXPECT_EQ(&cpu::device_info(), &device_info(Device::cpu));
  EXPECT_EQ(gpu::is_available(), is_available(Device::gpu));
  EXPECT_EQ(cu::is_available(), gpu::device_count() > 0);
  EXPECT_THROW(gpu::device_info(99), std::invalid_argument);
  EXPECT_FALSE(metal::is_available());
  EXPECT_TRUE(metal::device_info().empty());
  EXPECT_THROW(metal::start_capture("trace"), std::runtime_error);
}

TEST(PublicApi, VectorsPrintAsShapesDo) {
  std::ostringstream os;
  os << std::vector<int>{1, 2} << std::vector<Shape>{{3}, {}};
  EXPECT_EQ(os.str(), "(1,2)((3),())");
  EXPECT_EQ(safe_cast(int64_t{7}), 7);
  EXPECT_THROW(safe_cast(int64_t{1} << 31, "op"), std::overflow_error);
}

TEST(PublicApi, FilesCanBeWrittenAndMoved) {
  auto path = (std::filesystem::temp_directory_path() / "mlx_public_api_test.bin").string();
  {
    io::FileWriter first(path);
    first.write("abc", 3);
    io::FileWriter second(std::move(first));
    second.write("def", 3);
    EXPECT_FALSE(first.is_open());
    EXPECT_EQ(second.tell(), 6u);
  }
  std::ifstream file(path);
  std::string content;
  file >> content;
  EXPECT_EQ(content, "abcdef");
  std::filesystem::remove(path);
}

TEST(PublicApi, CustomKernelsSayWhatIsMissing) {
  auto kernel = fast::cuda_kernel("k", {"x"}, {"y"}, "y[0] = x[0];");
  auto call = [&](const fast::CustomKernelFunction& f, const std::vector<array>& inputs) {
    return f(inputs, {{1}}, {float32}, {1, 1, 1}, {1, 1, 1}, {}, std::nullopt, false, {});
  };
  EXPECT_THROW(call(kernel, {}), std::invalid_argument);
  EXPECT_THROW(call(fast::metal_kernel("k", {"x"}, {"y"}, ""), {array(1.0f)}), std::runtime_error);
  if (!is_available(Device::gpu)) {
    EXPECT_THROW(call(kernel, {array(1.0f)}), std::runtime_error);
  }
}
