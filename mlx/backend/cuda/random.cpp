// The kernel of random bits. A key that the host has goes along by value.
#include "mlx/backend/cuda/random.h"

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/primitives/random.h"

namespace mlx::core::cuda {

namespace {

constexpr int threads = 256;

bool is_one_of_host(const array& keys) {
  return keys.size() == 2 && !keys.buffer().device_memory();
}

void fill(array& out, const array& all_keys, const Stream& s) {
  allocate_output(out, s);
  if (out.size() == 0) {
    return;
  }
  array keys = readable_keys(all_keys, s);
  auto key_count = static_cast<int64_t>(keys.size() / 2);
  int64_t bytes = static_cast<int64_t>(out.nbytes()) / key_count;
  int64_t half = ((bytes + 3) / 4 + 1) / 2;
  kernels::RandomBits call{key_operand(keys, s), key_count, bytes, half, output_address(out)};
  launch(kernel_of(random_bits_call(), s), blocks_for(key_count * half, threads), threads, s, call);
}

void eval_random(RandomBits& primitive, const std::vector<array>& inputs,
                 std::vector<array>& outputs) {
  fill(outputs[0], inputs[0], primitive.stream());
}

const Register<RandomBits> random_bits(eval_random);

}  // namespace

KernelCall random_bits_call() { return {"random.h", "RandomBits", "fill_random", threads}; }

array readable_keys(const array& keys, const Stream& s) {
  return is_one_of_host(keys) ? keys : contiguous(keys, s);
}

kernels::Operand key_operand(const array& keys, const Stream& s) {
  if (!is_one_of_host(keys)) {
    return {input_address(keys, s), 0};
  }
  const auto* words = keys.data<uint32_t>();
  uint64_t first = words[0], second = words[keys.strides(-1)];
  return {nullptr, second << 32 | first};
}

array random_words(const array& key, const Shape& shape, const Stream& s) {
  array words(shape, uint32, nullptr, {});
  fill(words, key, s);
  return words;
}

}  // namespace mlx::core::cuda
