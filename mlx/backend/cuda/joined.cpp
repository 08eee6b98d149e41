// Which steps run as one on the GPU: products of the same few rows, which read one matrix after the
// other; rotations; updates of arrays in place; and equal programs. Each family decides by shapes
// whether one launch does them all.
#include "mlx/backend/cuda/joined.h"

#include <typeinfo>

#include "mlx/backend/cuda/foresight.h"
#include "mlx/backend/cuda/matmul.h"
#include "mlx/backend/cuda/program.h"
#include "mlx/backend/cuda/quantized.h"
#include "mlx/backend/cuda/registry.h"
#include "mlx/backend/cuda/rope.h"
#include "mlx/backend/cuda/slice.h"
#include "mlx/primitives/fused.h"
#include "mlx/primitives/matmul.h"
#include "mlx/primitives/quantized.h"
#include "mlx/primitives/rope.h"
#include "mlx/primitives/slice.h"

namespace mlx::core::cuda {

namespace {

struct Family {
  size_t type;
  Joining joining;
  void (*run)(const std::vector<JoinedPart>& parts, const Stream& s);
};

constexpr Joining same_input{4, true, false}, small{2, false, false}, in_place{2, false, true};

template <typename P>
size_t number_of() {
  return detail::type_number(typeid(P));
}

const Family families[] = {
    {number_of<Matmul>(), same_input, run_joined_products},
    {number_of<AddMM>(), same_input, run_joined_products},
    {number_of<QuantizedMatmul>(), same_input, run_joined_quantized_products},
    {number_of<Fused>(), {}, run_joined_programs},
    {number_of<Rope>(), small, run_joined_ropes},
    {number_of<SliceUpdate>(), in_place, run_joined_updates},
    {number_of<DynamicSliceUpdate>(), in_place, run_joined_updates},
};

const Family* family_of(const Primitive& primitive) {
  for (auto& family : families) {
    if (family.type == primitive.type_number()) return &family;
  }
  return nullptr;
}

void eval_joined(Joined& step, const std::vector<array>& inputs, std::vector<array>& outputs) {
  auto parts = step.parts(inputs, outputs);
  family_of(parts[0].primitive)->run(parts, step.stream());
}

void foresee_joined(const Joined& step, const std::vector<array>& inputs,
                    const std::vector<array>& outputs) {
  std::vector<array> made = outputs;
  auto parts = step.parts(inputs, made);
  if (typeid(parts[0].primitive) == typeid(Fused)) {
    foresee_joined_programs(parts[0], step.stream());
    return;
  }
  for (auto& part : parts) {
    foresee(part.primitive, {part.inputs.begin(), part.inputs.end()},
            {part.outputs.begin(), part.outputs.end()});
  }
}

const Register<Joined> joined(eval_joined, nullptr, foresee_joined);

}  // namespace

Joining joining_of(const Primitive& primitive) {
  const Family* family = family_of(primitive);
  return family ? family->joining : Joining{};
}

}  // namespace mlx::core::cuda
