// Slices, slice updates and views from C++: what Python does not reach, and that buffers are shared
// and reused as meant.
#include <gtest/gtest.h>

#include "mlx/core/errors.h"
#include "tests/cpp/arrays.h"

namespace mlx::core {
namespace {

using UpdateFn = array (*)(const array&, const array&, Shape, Shape, Shape, StreamOrDevice);

struct UpdateCase {
  UpdateFn update;
  array (*combine)(const array&, const array&, StreamOrDevice);
};

const UpdateCase update_cases[] = {
    {slice_update, [](const array&, const array& b, StreamOrDevice) { return b; }},
    {slice_update_add, add},
    {slice_update_prod, multiply},
    {slice_update_max, maximum},
    {slice_update_min, minimum},
};

TEST(SliceUpdate, EveryModeAndDtype) {
  for (auto [update, combine] : update_cases) {
    for (auto dtype : {float32, float16, bfloat16, float64, int8, uint16, int32, uint64, complex64,
                       complex128}) {
      array a = counted({5, 6}, dtype), u = counted({2, 3}, dtype) * array(3, dtype);
      array out = update(a, u, {1, 5}, {4, -7}, {2, -2}, {});
      array part = slice(a, {1, 5}, {4, -7}, {2, -2});
      expect_equal(slice(out, {1, 5}, {4, -7}, {2, -2}), combine(part, u, {}));
      expect_equal(slice(out, {0, 0}, {5, 6}, {2, 1}), slice(a, {0, 0}, {5, 6}, {2, 1}));
    }
  }
}

TEST(SliceUpdate, NanWinsOverNumbers) {
  array nan = array(std::numeric_limits<float>::quiet_NaN());
  for (UpdateFn fn : {UpdateFn(slice_update_max), UpdateFn(slice_update_min)}) {
    EXPECT_TRUE(isnan(fn(zeros({1}), nan, {0}, {1}, {1}, {})).item<bool>());
    EXPECT_TRUE(isnan(fn(full({1}, nan), array(1.0f), {0}, {1}, {1}, {})).item<bool>());
  }
}

TEST(SliceUpdate, DerivativesInEveryMode) {
  array a = random_values({4, 3}, 1), u = random_values({2, 3}, 2);
  for (auto [update, combine] : update_cases) {
    auto fn = update;
    expect_derivatives([&](const array& x) { return fn(x, u, {1, 0}, {4, 3}, {2, 1}, {}); }, a);
    expect_derivatives([&](const array& x) { return fn(a, x, {1, 0}, {4, 3}, {2, 1}, {}); }, u);
  }
}

TEST(SliceUpdate, EveryWayToBatch) {
  array a = counted({3, 4}), u = counted({3, 2}) * array(10.0f);
  for (auto [update, combine] : update_cases) {
    auto fn = update;
    auto f = [&](const std::vector<array>& in) {
      return std::vector<array>{fn(in[0], in[1], {3}, {-5}, {-2}, {})};
    };
    for (auto [map_a, map_u] : {std::pair{true, true}, {true, false}, {false, true}}) {
      array x = map_a ? a : take(a, 1, 0), y = map_u ? u : take(u, 1, 0);
      std::vector<array> rows;
      for (int i = 0; i < 3; i++) {
        rows.push_back(f({map_a ? take(x, i, 0) : x, map_u ? take(y, i, 0) : y})[0]);
      }
      expect_equal(vmap(f, {map_a ? 0 : -1, map_u ? 0 : -1})({x, y})[0], stack(rows));
    }
  }
}

TEST(SliceUpdate, WritesInPlaceOnlyWhenNobodyElseReads) {
  array a = contiguous(counted({1000}) + array(1.0f));
  a.eval();
  const void* buffer = a.data<float>();
  array kept = slice_update(a, array(5.0f), Shape{0}, Shape{1});
  kept.eval();
  EXPECT_NE(kept.data<float>(), buffer);
  EXPECT_EQ(take(a, 0, 0).item<float>(), 1.0f);

  // The source is a temporary: its memory becomes the result's.
  array b = counted({1000}) + array(1.0f);
  b.eval();
  buffer = b.data<float>();
  auto moved = [&] {
    return slice_update(std::exchange(b, array(0.0f)), array(5.0f), Shape{0}, Shape{1});
  };
  array reused = moved();
  reused.eval();
  EXPECT_EQ(reused.data<float>(), buffer);
}

TEST(SliceUpdate, SourceAndUpdateFromOneBuffer) {
  array a = contiguous(counted({6}) + array(0.0f));
  array out = slice_update(a, slice(a, {0}, {5}), Shape{1}, Shape{6});
  expect_equal(out, array({0, 0, 1, 2, 3, 4}, float32));
}

TEST(DynamicSlice, StartsFromArrays) {
  array a = counted({4, 5});
  for (auto dtype : {int8, uint8, int32, uint32, int64, uint64}) {
    array start = array({2, 1}, dtype);
    expect_equal(slice(a, start, {0, 1}, {2, 3}), slice(a, {2, 1}, {4, 4}));
    expect_equal(slice_update(a, ones({2, 3}), start, {0, 1}),
                 slice_update(a, ones({2, 3}), Shape{2, 1}, Shape{4, 4}));
  }
  expect_equal(slice(a, array(1), {0}, {2, 5}), slice(a, {1, 0}, {3, 5}));
  // Starts of any layout.
  array start = slice(array({9, 1, 9, 2}), {3}, {-5}, {-2});
  expect_equal(slice(a, start, {0, 1}, {1, 1}), slice(a, {2, 1}, {3, 2}));
}

TEST(DynamicSlice, OutsideRaises) {
  array a = counted({4, 5});
  for (int64_t bad : {int64_t{3}, int64_t{-1}, INT64_MIN, INT64_MAX}) {
    array start = array({bad}, int64);
    EXPECT_THROW(slice(a, start, {0}, {2, 5}).eval(), std::out_of_range);
    EXPECT_THROW(slice_update(a, zeros({2, 5}), start, {0}).eval(), std::out_of_range);
  }
  EXPECT_THROW(slice(a, array({0}), {0}, {5, 5}), std::invalid_argument);
  EXPECT_THROW(slice(a, array({0}), {0}, {-1, 5}), std::invalid_argument);
  EXPECT_THROW(slice(a, array({0, 0}), {0}, {1, 5}), std::invalid_argument);
  EXPECT_THROW(slice(a, array({0.0f}), {0}, {1, 5}), std::invalid_argument);
  EXPECT_THROW(slice(a, array({0}), {2}, {1, 5}), std::invalid_argument);
  EXPECT_THROW(slice_update(a, zeros({2, 2, 2}), array({0}), {0}), std::invalid_argument);
  EXPECT_THROW(slice_update(a, zeros({6}), array({0}), {1}), std::invalid_argument);
}

TEST(DynamicSlice, DerivativesAndBatches) {
  array a = random_values({3, 4, 2}, 3), u = random_values({3, 2, 2}, 4);
  array start = array({1, 0, 2}, Shape{3, 1}, int32);
  array a0 = take(a, 0, 0), u0 = take(u, 0, 0), s0 = take(start, 0, 0);
  expect_derivatives([&](const array& x) { return slice(x, s0, {0}, {2, 2}); }, a0);
  expect_derivatives([&](const array& x) { return slice_update(x, u0, s0, {0}); }, a0);
  expect_derivatives([&](const array& x) { return slice_update(a0, x, s0, {0}); }, u0);
  auto f = [](const std::vector<array>& in) {
    return std::vector<array>{slice(in[0], in[2], {0}, {2, 2}),
                              slice_update(in[0], in[1], in[2], {0})};
  };
  std::vector<array> all{a, u, start}, firsts{a0, u0, s0};
  for (int mask = 1; mask < 8; mask++) {
    std::vector<array> inputs;
    std::vector<int> axes;
    for (int k = 0; k < 3; k++) {
      axes.push_back(mask >> k & 1 ? 0 : -1);
      inputs.push_back(mask >> k & 1 ? all[k] : firsts[k]);
    }
    auto out = vmap(f, axes)(inputs);
    for (int i = 0; i < 3; i++) {
      std::vector<array> each;
      for (int k = 0; k < 3; k++) {
        each.push_back(axes[k] < 0 ? inputs[k] : take(inputs[k], i, 0));
      }
      auto expected = f(each);
      bool batched = (mask & 5) != 0;
      expect_equal(batched ? take(out[0], i, 0) : take(broadcast_to(out[0], {3, 2, 2}), i, 0),
                   expected[0]);
      expect_equal(take(out[1], i, 0), expected[1]);
    }
  }
}

TEST(Views, ShareTheBuffer) {
  array a = counted({4, 6}) + array(0.0f);
  a.eval();
  const float* data = a.data<float>();
  std::vector<std::pair<array, int>> views{
      {transpose(a), 0},
      {reshape(a, {2, 12}), 0},
      {slice(a, {1, 2}, {3, 6}), 8},
      {flip(a), 23},
      {expand_dims(a, 0), 0},
      {squeeze(expand_dims(a, 0), 0), 0},
      {broadcast_to(a, {3, 4, 6}), 0},
      {diagonal(a, 1), 1},
      {split(a, 2)[1], 12},
      {as_strided(a, {3}, {2}, 5), 5},
      {unflatten(transpose(a), 0, {2, 3}), 0},
      {reshape(transpose(a), {2, 3, 2, 2}), 0},
      {view(a, int32), 0},
      {slice(a, array({2}), {0}, {1, 6}), 12},
      {stop_gradient(a), 0},
      {contiguous(a), 0},
  };
  for (auto& [v, offset] : views) {
    v.eval();
    EXPECT_EQ(v.data<float>(), data + offset);
  }
  for (array moved : {copy(a), reshape(transpose(a), {24}), contiguous(transpose(a))}) {
    moved.eval();
    EXPECT_NE(moved.buffer().ptr(), a.buffer().ptr());
  }
}

TEST(Views, IdentitiesAreNoNodes) {
  array a = counted({2, 1, 3}) + array(0.0f);
  for (auto& same : {reshape(a, {2, 1, 3}), transpose(a, {0, 1, 2}), broadcast_to(a, {2, 1, 3}),
                     slice(a, {0, 0, 0}, Shape(3, INT32_MAX)), squeeze(a, std::vector<int>{}),
                     concatenate({a}, 0), flatten(a, 1, 1), view(a, float32), astype(a, float32),
                     repeat(a, 1, 0), pad(a, 0), split(a, 1)[0]}) {
    EXPECT_EQ(same.id(), a.id());
  }
}

TEST(Views, ViewOfEveryLayout) {
  array a = counted({4, 6}, int32);
  array halves = reshape(view(contiguous(transpose(a)), int16), {6, 8});
  expect_equal(view(transpose(a), int16), halves);
  expect_equal(view(slice(a, {0, 1}, {4, 5}), int64), view(copy(slice(a, {0, 1}, {4, 5})), int64));
  expect_equal(view(slice(a, {0, 2}, {4, 6}), int64), view(copy(slice(a, {0, 2}, {4, 6})), int64));
  expect_equal(view(slice(a, {0, 0}, {4, 6}, {2, 3}), int8),
               view(copy(slice(a, {0, 0}, {4, 6}, {2, 3})), int8));
  expect_equal(view(slice(a, {0, 3}, {4, 4}), int16), view(copy(slice(a, {0, 3}, {4, 4})), int16));
}

TEST(Views, NodesWithEqualParametersAreEquivalent) {
  array a = counted({4, 6});
  auto same = [](const array& x, const array& y) {
    return x.primitive().is_equivalent(y.primitive());
  };
  EXPECT_TRUE(same(transpose(a), transpose(a, {1, 0})));
  EXPECT_TRUE(same(slice(a, {1, 0}, {3, 6}), slice(a, {1, 0}, {3, 6})));
  EXPECT_FALSE(same(slice(a, {1, 0}, {3, 6}), slice(a, {0, 0}, {3, 6})));
  EXPECT_FALSE(same(reshape(a, {24}), reshape(a, {8, 3})));
  EXPECT_FALSE(same(transpose(a), reshape(a, {24})));
}

TEST(Views, DependsKeepsValues) {
  array a = counted({3}), b = counted({2});
  auto out = depends({a, b}, {exp(a)});
  expect_equal(out[0], a);
  expect_equal(out[1], b);
  expect_derivatives([&](const array& x) { return depends({x * x}, {b})[0]; },
                     random_values({3}, 1));
}

TEST(Views, NumberOfElements) {
  array a = zeros({2, 3, 4});
  EXPECT_EQ(number_of_elements(a, {0, -1}, false).item<int>(), 8);
  EXPECT_FLOAT_EQ(number_of_elements(a, {1}, true, float32).item<float>(), 1.0f / 3);
  EXPECT_THROW(number_of_elements(a, {3}, false), AxisError);
}

}  // namespace
}  // namespace mlx::core
