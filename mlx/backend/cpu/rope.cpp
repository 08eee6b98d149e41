// Rotary position encoding on the CPU: the sines of a block of positions serve all heads.
#include "mlx/primitives/rope.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/backend/cpu/rope_kernels.h"
#include "mlx/core/layout.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t grain_elements = 1 << 14;
constexpr int64_t block_positions = 16;  // whose sines stay in the first cache
constexpr int64_t least_shared = 32;     // lists of rows that make up for the sines

RopeTurn turn_for(Dtype dtype, bool neighbours) {
  const RopeTable& table = rope_table();
  switch (dtype.val()) {
    case Dtype::Val::float16:
      return table.f16[neighbours];
    case Dtype::Val::bfloat16:
      return table.bf16[neighbours];
    case Dtype::Val::float32:
      return table.f32[neighbours];
    default:
      return table.f64[neighbours];
  }
}

template <typename T>
RopeAngles<T> angles_for() {
  if constexpr (std::is_same_v<T, double>) {
    return rope_table().angles_f64;
  } else {
    return rope_table().angles_f32;
  }
}

template <typename T>
std::unique_ptr<T[]> frequencies(const RopeSpec& spec, const std::vector<array>& inputs) {
  int pairs = spec.dims / 2;
  std::unique_ptr<T[]> freqs(new T[pairs]);
  double step = spec.has_freqs ? 0.0 : rope_step(spec);
  for (int i = 0; i < pairs; i++) {
    freqs[i] = spec.has_freqs ? T(1) / inputs[2].data<T>()[i * inputs[2].strides(0)]
                              : static_cast<T>(std::exp2(i * step));
  }
  return freqs;
}

/** Leading axes from `begin` up to `end`, walked in row-major order. */
class Leading {
 public:
  Leading(const std::vector<Strides>& strides, const Shape& shape, size_t begin, size_t end) {
    std::vector<Strides> cut;
    for (const auto& all : strides) cut.emplace_back(all.begin() + begin, all.begin() + end);
    layout_ = collapse_dims(Shape(shape.begin() + begin, shape.begin() + end), cut);
  }
  int64_t offset(int64_t index, int which) const {
    return element_offset(index, layout_.shape, layout_.strides[which]);
  }

 private:
  CollapsedLayout layout_;
};

int64_t read_offset(const array& offset, int64_t at) {
  return offset.dtype() == int32 ? offset.data<int32_t>()[at] : offset.data<int64_t>()[at];
}

/** Strides of the offset along its own axes, which may have extent 1 there, and 0 behind them. */
Strides offset_strides(const array& offset, size_t ndim) {
  Strides strides(ndim, 0);
  for (size_t i = 0; i < offset.ndim(); i++) {
    strides[i] = offset.shape()[i] == 1 ? 0 : offset.strides()[i];
  }
  return strides;
}

template <typename T>
void run(const RopeSpec& spec, const array& x, const std::vector<array>& inputs, array& out) {
  const array& offset = inputs[1];
  RopeExtents e(x, offset);
  int64_t pairs = spec.dims / 2, itemsize = static_cast<int64_t>(x.itemsize());
  auto freqs = frequencies<T>(spec, inputs);
  std::vector<Strides> strides{x.strides(), out.strides(), offset_strides(offset, x.ndim())};
  Leading groups(strides, x.shape(), 0, e.offset_axes);
  Leading lists(strides, x.shape(), e.offset_axes, x.ndim() - 2);
  T scale = static_cast<T>(spec.inverse ? -spec.scale : spec.scale);
  int64_t block = std::min(block_positions, e.length), row_elements = block * e.width;
  int64_t chunk = std::min(e.shared, std::max(least_shared, grain_elements / row_elements));
  int64_t blocks = (e.length + block - 1) / block, chunks = (e.shared + chunk - 1) / chunk;
  int64_t grain = std::max<int64_t>(1, grain_elements / (chunk * row_elements));
  RopeTurn turn = turn_for(x.dtype(), spec.traditional);
  parallel_for(e.groups * blocks * chunks, grain, [&](int64_t begin, int64_t end) {
    std::unique_ptr<T[]> table(new T[2 * block * pairs]);
    T *cosines = table.get(), *sines = cosines + block * pairs;
    for (int64_t task = begin; task < end; task++) {
      int64_t group = task / (blocks * chunks), first = task / chunks % blocks * block;
      int64_t count = std::min(block, e.length - first), list = task % chunks * chunk;
      int64_t start = read_offset(offset, groups.offset(group, 2)) + first;
      for (int64_t p = 0; p < count; p++) {
        angles_for<T>()(static_cast<T>(start + p) * scale, freqs.get(), cosines + p * pairs,
                        sines + p * pairs, pairs);
      }
      int64_t from = groups.offset(group, 0) + first * x.strides(-2);
      int64_t to = groups.offset(group, 1) + first * out.strides(-2);
      for (int64_t end_list = std::min(e.shared, list + chunk); list < end_list; list++) {
        turn({x.data<char>() + (from + lists.offset(list, 0)) * itemsize,
              out.data<char>() + (to + lists.offset(list, 1)) * itemsize, x.strides(-2),
              out.strides(-2), count, pairs, e.width},
             cosines, sines);
      }
    }
  });
}

void eval_rope(Rope& primitive, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  if (out.size() == 0) {
    out.set_data(allocator::malloc(0));
    return;
  }
  bool in_rows = inputs[0].strides(-1) == 1;
  if (!in_rows || !write_over(inputs[0], out)) {
    out.set_data(allocator::malloc(out.nbytes()));
  }
  array x = in_rows ? inputs[0] : contiguous(inputs[0]);
  if (x.dtype() == float64) {
    run<double>(primitive.spec(), x, inputs, out);
  } else {
    run<float>(primitive.spec(), x, inputs, out);
  }
}

const Register<Rope> rope(eval_rope);

}  // namespace

}  // namespace mlx::core::cpu
