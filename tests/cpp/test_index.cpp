// Gathers and scatters: values, derivatives, batches, and indices that lead outside.
#include <gtest/gtest.h>

#include <random>

#include "mlx/primitives/scatter.h"
#include "tests/cpp/arrays.h"

namespace mlx::core {
namespace {

// ------------ gather

TEST(Gather, RowsOfEveryIndexDtype) {
  array a = counted({5, 3});
  for (auto dtype : {uint8, uint16, uint32, uint64, int8, int16, int32, int64}) {
    array index = array({4, 0, 2}, dtype);
    expect_equal(take(a, index, 0), array({12, 13, 14, 0, 1, 2, 6, 7, 8}, Shape{3, 3}, float32));
  }
}

TEST(Gather, NegativeIndicesCountFromTheEnd) {
  array a = counted({5, 3});
  expect_equal(take(a, array({-1, -5}), 0), array({12, 13, 14, 0, 1, 2}, Shape{2, 3}, float32));
  expect_equal(take(a, array({-1, -3}), 1), take(a, array({2, 0}), 1));
}

TEST(Gather, SeveralIndexArraysBroadcast) {
  array a = counted({4, 5, 2});
  array rows = array({0, 3}, Shape{2, 1}, int32), columns = array({1, 4, 2});
  array out = gather(a, {rows, columns}, {0, 1}, {1, 1, 2});
  EXPECT_EQ(out.shape(), (Shape{2, 3, 1, 1, 2}));
  EXPECT_EQ(slice(out, {1, 2, 0, 0, 1}, {2, 3, 1, 1, 2}).item<float>(), 3 * 10 + 2 * 2 + 1);
}

TEST(Gather, SlicesOfAnyLayout) {
  array a = transpose(counted({6, 4, 5}), {2, 0, 1});
  array dense = contiguous(a);
  array index = array({3, 1, 1});
  expect_equal(gather(a, index, 0, {2, 3, 4}), gather(dense, index, 0, {2, 3, 4}));
  expect_equal(gather(a, index, 1, {5, 1, 2}), gather(dense, index, 1, {5, 1, 2}));
  expect_equal(gather(flip(a, 0), index, 0, {1, 6, 4}),
               gather(contiguous(flip(a, 0)), index, 0, {1, 6, 4}));
}

TEST(Gather, IndicesOfAnyLayout) {
  array a = counted({50});
  array index = transpose(reshape(arange(12), {3, 4}));
  expect_equal(take(a, index, 0), astype(index, float32));
  array one = broadcast_to(array(7), {2, 3});
  expect_equal(take(a, one, 0), full({2, 3}, array(7.0f)));
  expect_equal(take(a, slice(arange(40), {39}, {9}, {-3}), 0),
               astype(slice(arange(40), {39}, {9}, {-3}), float32));
}

TEST(Gather, LargeRowsTakeTheStreamingPath) {
  array a = counted({300, 4096});
  array index = remainder(arange(2000) * array(7), array(300));
  array out = take(a, index, 0);
  array expected = expand_dims(astype(index, float32), 1) * array(4096.0f) + arange(4096.0);
  expect_equal(out, expected);
}

TEST(Gather, OutsideRaisesAndNeverReads) {
  array a = counted({5, 3});
  for (int64_t bad : {int64_t{5}, int64_t{-6}, int64_t{1} << 40, INT64_MIN, INT64_MAX}) {
    EXPECT_THROW(take(a, array({int64_t{0}, bad}, int64), 0).eval(), std::out_of_range);
    EXPECT_THROW(take(a, array({bad}, int64), 1).eval(), std::out_of_range);
    EXPECT_THROW(take_along_axis(a, full({5, 1}, array(bad, int64)), 1).eval(), std::out_of_range);
  }
  EXPECT_THROW(take(a, array({UINT64_MAX}, uint64), 0).eval(), std::out_of_range);
  // A slice of two rows from the last one on does not fit.
  EXPECT_THROW(gather(a, array({4}), 0, {2, 3}).eval(), std::out_of_range);
  EXPECT_THROW(take(a, 5, 0), std::out_of_range);
}

TEST(Gather, BadCallsRaiseAtOnce) {
  array a = counted({5, 3});
  EXPECT_THROW(take(a, array({0.5f}), 0), std::invalid_argument);
  EXPECT_THROW(take(a, array({true}), 0), std::invalid_argument);
  EXPECT_THROW(take(a, array({0}), 2), std::invalid_argument);
  EXPECT_THROW(gather(a, array({0}), 0, {6, 3}), std::invalid_argument);
  EXPECT_THROW(gather(a, {array({0}), array({0})}, {0, 0}, {1, 1}), std::invalid_argument);
  EXPECT_THROW(gather(a, {array({0}), array({0})}, {0}, {1, 1}), std::invalid_argument);
  EXPECT_THROW(gather(a, {array({0, 1}), array({0, 1, 2})}, {0, 1}, {1, 1}), std::invalid_argument);
  EXPECT_THROW(take(zeros({0, 3}), array({0}), 0), std::invalid_argument);
  EXPECT_EQ(take(zeros({0, 3}), array({0}), 1).shape(), (Shape{0, 1}));
  EXPECT_EQ(take(a, zeros({0}, int32), 0).shape(), (Shape{0, 3}));
}

TEST(Gather, Derivatives) {
  array x = random_values({4, 3}, 1);
  array index = array({1, 3, 1, -1});
  expect_derivatives([&](const array& a) { return take(a, index, 0); }, x);
  expect_derivatives([&](const array& a) { return take(a, index - array(1), 1); },
                     random_values({2, 4, 3}, 2));
  expect_derivatives(
      [&](const array& a) {
        return gather(a, index - array(1), 0, {2, 2});
      },
      random_values({5, 3}, 2));
  array along = array({0, 1, 1, 2}, Shape{4, 1}, int32);
  expect_derivatives([&](const array& a) { return take_along_axis(a, along, 1); }, x);
}

TEST(Gather, EveryWayToBatch) {
  array a = counted({3, 5, 2}), index = array({0, 4, 2, 2, 1, 3}, Shape{3, 2}, int32);
  auto f = [](const std::vector<array>& in) { return std::vector<array>{take(in[0], in[1], 0)}; };
  auto each = [&](bool map_a, bool map_index) {
    std::vector<array> rows;
    for (int i = 0; i < 3; i++) {
      rows.push_back(f({map_a ? take(a, i, 0) : take(a, 1, 0),
                        map_index ? take(index, i, 0) : take(index, 1, 0)})[0]);
    }
    return stack(rows);
  };
  expect_equal(vmap(f, {0, 0})({a, index})[0], each(true, true));
  expect_equal(vmap(f, {0, -1})({a, take(index, 1, 0)})[0], each(true, false));
  expect_equal(vmap(f, {-1, 0})({take(a, 1, 0), index})[0], each(false, true));
  expect_equal(vmap(f, {2, 0})({moveaxis(a, 0, 2), index})[0], each(true, true));
}

TEST(TakeAlongAxis, EveryAxis) {
  array a = counted({3, 4, 5});
  for (int axis : {0, 1, 2}) {
    array order = argsort(negative(a), axis);
    expect_equal(take_along_axis(a, order, axis), sort(negative(a), axis) * array(-1.0f));
    array t = transpose(a);
    expect_equal(take_along_axis(t, transpose(order), 2 - axis),
                 transpose(take_along_axis(a, order, axis)));
  }
}

// ------------ scatter

// The same by a loop over single elements.
array slow_scatter_rows(UpdateMode mode, const array& a, const std::vector<int>& rows,
                        const array& updates) {
  array out = contiguous(a);
  for (size_t i = 0; i < rows.size(); i++) {
    Shape start{rows[i], 0}, stop{rows[i] + 1, a.shape(1)};
    array update = take(updates, static_cast<int>(i), 0);
    array old = slice(out, start, stop);
    array mixed = mode == UpdateMode::Sum    ? old + update
                  : mode == UpdateMode::Prod ? old * update
                  : mode == UpdateMode::Max  ? maximum(old, update)
                  : mode == UpdateMode::Min  ? minimum(old, update)
                                             : update;
    out = slice_update(out, mixed, start, stop);
  }
  return out;
}

using ScatterFn = array (*)(const array&, const array&, const array&, int, StreamOrDevice);

const std::pair<UpdateMode, ScatterFn> scatter_functions[] = {{UpdateMode::Replace, scatter},
                                                              {UpdateMode::Sum, scatter_add},
                                                              {UpdateMode::Prod, scatter_prod},
                                                              {UpdateMode::Max, scatter_max},
                                                              {UpdateMode::Min, scatter_min}};

TEST(Scatter, RowsWithRepeatsInEveryMode) {
  std::vector<int> rows{2, 0, 2, -1, 4};
  std::vector<int> from_start{2, 0, 2, 4, 4};
  array index(rows.begin(), Shape{5}, int32);
  for (auto [mode, fn] : scatter_functions) {
    for (auto dtype : {float32, float16, bfloat16, int8, uint16, int64, float64}) {
      array a = astype(counted({5, 3}), dtype),
            updates = astype(counted({5, 3}) * array(2.0f), dtype);
      expect_equal(fn(a, index, expand_dims(updates, 1), 0, {}),
                   slow_scatter_rows(mode, a, from_start, updates));
    }
  }
}

TEST(Scatter, ManyRowsOnAllThreadsAreExactAndRepeatable) {
  int count = 4000, columns = 96;
  std::mt19937 engine(1);
  std::vector<int> rows(count);
  for (int& row : rows) {
    row = static_cast<int>(engine() % 50);
  }
  array index(rows.begin(), Shape{count}, int32);
  array updates = astype(remainder(counted({count, 1, columns}, int32), array(17)), float32);
  array out = scatter_add(zeros({50, columns}), index, updates, 0);
  std::vector<float> expected(50 * columns);
  updates.eval();
  for (int i = 0; i < count; i++) {
    for (int j = 0; j < columns; j++) {
      expected[rows[i] * columns + j] += updates.data<float>()[i * columns + j];
    }
  }
  expect_equal(out, array(expected.begin(), Shape{50, columns}));
}

TEST(Scatter, PartsOfRowsLeaveTheRestOfTheSource) {
  // Offsets 0 and 3 * 448 are multiples of the slice's 192 elements; the array's size is not.
  array a = counted({5, 448}), updates = full({2, 1, 192}, array(-1.0f));
  array out = scatter(a, array({0, 3}), updates, 0);
  array expected = a;
  for (int row : {0, 3}) {
    expected = slice_update(expected, array(-1.0f), Shape{row, 0}, Shape{row + 1, 192});
  }
  expect_equal(out, expected);
  expect_equal(
      scatter_add(broadcast_to(array(2.0f), {5, 448}), array({4, 4}), ones({2, 1, 448}), 0),
      concatenate({full({4, 448}, array(2.0f)), full({1, 448}, array(4.0f))}, 0));
}

TEST(Scatter, SingleElementsOnAllThreads) {
  int count = 200000;
  array index = remainder(arange(count) * array(7919), array(1000));
  array ones_each = ones({count, 1});
  expect_equal(scatter_add(zeros({1000}), index, ones_each, 0), full({1000}, array(200.0f)));
  // The last update of each element wins.
  array numbers = expand_dims(astype(arange(count), float32), 1);
  array last = scatter(zeros({1000}), index, numbers, 0);
  array expected = zeros({1000});
  index.eval();
  std::vector<float> latest(1000);
  for (int i = 0; i < count; i++) {
    latest[index.data<int>()[i]] = static_cast<float>(i);
  }
  expect_equal(last, array(latest.begin(), Shape{1000}));
}

TEST(Scatter, OverlappingSlicesInOrder) {
  array out =
      scatter(zeros({5}), array({0, 1, 2}), array({1, 2, 3, 4, 5, 6}, Shape{3, 2}, float32), 0);
  expect_equal(out, array({1, 3, 5, 6, 0}, float32));
}

TEST(Scatter, ManySlicesThatOverlapAddUp) {
  array index = remainder(arange(3000) * array(7), array(96));
  array sums = scatter_add(zeros({100}), index, ones({3000, 5}), 0);
  std::vector<float> counts(100);
  for (int i = 0; i < 3000; i++) {
    for (int k = 0; k < 5; k++) counts[i * 7 % 96 + k]++;
  }
  expect_equal(sums, array(counts.data(), {100}, float32));
}

TEST(Scatter, WithoutIndicesStartsAtTheFirstElement) {
  expect_equal(scatter_add(ones({3, 2}), std::vector<array>{}, ones({2, 1}), std::vector<int>{}),
               array({2, 1, 2, 1, 1, 1}, Shape{3, 2}, float32));
  expect_equal(gather(counted({3, 2}), std::vector<array>{}, std::vector<int>{}, {2, 1}),
               array({0, 2}, Shape{2, 1}, float32));
}

TEST(Scatter, BroadcastAndTransposedUpdates) {
  array index = array({0, 2});
  array one = broadcast_to(array(1.0f), {2, 1, 3});
  expect_equal(scatter_add(zeros({3, 3}), index, one, 0),
               array({1, 1, 1, 0, 0, 0, 1, 1, 1}, Shape{3, 3}, float32));
  array t = expand_dims(transpose(counted({3, 2})), 1);
  expect_equal(scatter(zeros({3, 3}), index, t, 0),
               scatter(zeros({3, 3}), index, contiguous(t), 0));
}

TEST(Scatter, LeavesItsInputAlone) {
  array a = zeros({4});
  a = contiguous(a);
  a.eval();
  array b = scatter(a, array({1}), ones({1, 1}), 0);
  b.eval();
  expect_equal(a, zeros({4}));
}

TEST(Scatter, OutsideRaises) {
  array a = zeros({4, 2});
  EXPECT_THROW(scatter(a, array({4}), ones({1, 1, 2}), 0).eval(), std::out_of_range);
  EXPECT_THROW(scatter_add(a, array({-5}), ones({1, 1, 2}), 0).eval(), std::out_of_range);
  EXPECT_THROW(scatter(a, array({3}), ones({1, 2, 2}), 0).eval(), std::out_of_range);
  EXPECT_THROW(put_along_axis(a, full({1, 2}, array(7)), array(1.0f), 0).eval(), std::out_of_range);
  EXPECT_THROW(put_along_axis(a, full({4, 1}, array(2)), array(1.0f), 1).eval(), std::out_of_range);
}

TEST(Scatter, BadCallsRaiseAtOnce) {
  array a = zeros({4, 2});
  EXPECT_THROW(scatter(a, array({0}), ones({1, 2}), 0), std::invalid_argument);
  EXPECT_THROW(scatter(a, array({0}), ones({2, 1, 2}), 0), std::invalid_argument);
  EXPECT_THROW(scatter(a, array({0}), ones({1, 5, 2}), 0), std::invalid_argument);
  EXPECT_THROW(scatter(a, array({0.0f}), ones({1, 1, 2}), 0), std::invalid_argument);
  EXPECT_THROW(scatter(a, array({0}), ones({1, 1, 2}), 2), std::invalid_argument);
  EXPECT_THROW(put_along_axis(a, full({2, 1}, array(0)), array(1.0f), 1), std::invalid_argument);
  EXPECT_THROW(put_along_axis(a, array({0}), array(1.0f), 1), std::invalid_argument);
}

TEST(Scatter, DerivativesInEveryMode) {
  array a = random_values({4, 3}, 3), updates = random_values({3, 1, 3}, 4);
  array distinct = array({2, 0, 3}), repeated = array({2, 0, 2});
  for (auto [mode, fn] : scatter_functions) {
    auto run = fn;
    for (auto& index : {distinct, repeated}) {
      expect_derivatives([&](const array& x) { return run(x, index, updates, 0, {}); }, a);
      expect_derivatives([&](const array& x) { return run(a, index, x, 0, {}); }, updates);
    }
  }
}

TEST(Scatter, ProductsOfZerosHaveDerivatives) {
  array a = array({2, 3}, float32), updates = array({0, 5, 0, 4}, Shape{4, 1}, float32);
  array index = array({0, 0, 1, 1});
  array g =
      vjp([&](const array& x) { return scatter_prod(a, index, x, 0); }, updates, ones({2})).second;
  expect_equal(g, array({10, 0, 12, 0}, Shape{4, 1}, float32));
}

TEST(Scatter, EveryWayToBatch) {
  array a = counted({3, 5, 2}), index = array({0, 4, 2, 2, 1, 3}, Shape{3, 2}, int32);
  array updates = counted({3, 2, 1, 2}) * array(10.0f);
  auto f = [](const std::vector<array>& in) {
    return std::vector<array>{scatter_add(in[0], in[1], in[2], 0)};
  };
  for (int mask = 1; mask < 8; mask++) {
    std::vector<array> inputs, all{a, index, updates};
    std::vector<int> axes;
    for (int k = 0; k < 3; k++) {
      bool mapped = mask >> k & 1;
      axes.push_back(mapped ? 0 : -1);
      inputs.push_back(mapped ? all[k] : take(all[k], 1, 0));
    }
    std::vector<array> rows;
    for (int i = 0; i < 3; i++) {
      std::vector<array> each;
      for (int k = 0; k < 3; k++) {
        each.push_back(axes[k] < 0 ? inputs[k] : take(inputs[k], i, 0));
      }
      rows.push_back(f(each)[0]);
    }
    expect_equal(vmap(f, axes)(inputs)[0], stack(rows));
  }
}

TEST(ScatterAxis, EveryAxisAndLayout) {
  array a = counted({3, 4, 5});
  for (int axis : {0, 1, 2}) {
    array order = argsort(negative(a), axis);
    array out = put_along_axis(zeros_like(a), order, take_along_axis(a, order, axis), axis);
    expect_equal(out, a);
    array t = put_along_axis(transpose(zeros_like(a)), transpose(order),
                             transpose(take_along_axis(a, order, axis)), 2 - axis);
    expect_equal(t, transpose(a));
  }
  array index = array({0, 0, 1}, Shape{1, 3}, int32);
  expect_equal(scatter_add_axis(zeros({2, 2}), index, array(1.0f), 1),
               array({2, 1, 2, 1}, Shape{2, 2}, float32));
}

TEST(ScatterAxis, DerivativesAndBatches) {
  array a = random_values({3, 4}, 5), values = random_values({3, 2}, 6);
  for (auto& index : {array({0, 1, 3, 2, 1, 0}, Shape{3, 2}, int32),
                      array({1, 1, 3, 2, 0, 0}, Shape{3, 2}, int32)}) {
    for (auto fn : {put_along_axis, scatter_add_axis}) {
      expect_derivatives([&](const array& x) { return fn(x, index, values, 1, {}); }, a);
      expect_derivatives([&](const array& x) { return fn(a, index, x, 1, {}); }, values);
      auto f = [&](const std::vector<array>& in) {
        return std::vector<array>{fn(in[0], in[1], in[2], 0, {})};
      };
      expect_equal(vmap(f, {0, 0, 0})({a, index, values})[0], fn(a, index, values, 1, {}));
      array shared = vmap(f, {-1, 0, 0})({take(a, 0, 0), index, values})[0];
      expect_equal(shared, fn(broadcast_to(take(a, 0, 0), {3, 4}), index, values, 1, {}));
    }
  }
}

// ------------ masks

TEST(Mask, ScatterFillsInOrder) {
  array a = counted({2, 3});
  array mask = array({true, false, true, false, true, true}, Shape{2, 3});
  array out = masked_scatter(a, mask, array({10, 20, 30, 40}, float32));
  expect_equal(out, array({10, 1, 20, 3, 30, 40}, Shape{2, 3}, float32));
  expect_equal(masked_scatter(a, mask, array(9.0f)),
               array({9, 1, 9, 3, 9, 9}, Shape{2, 3}, float32));
  array rows = masked_scatter(a, array({false, true}), array({7, 8, 9}, float32));
  expect_equal(rows, array({0, 1, 2, 7, 8, 9}, Shape{2, 3}, float32));
}

TEST(Mask, ScatterNeedsEnoughValues) {
  array a = counted({3});
  array mask = array({true, true, true});
  EXPECT_THROW(masked_scatter(a, mask, array({1, 2}, float32)).eval(), std::out_of_range);
  EXPECT_THROW(masked_scatter(a, mask, zeros({0})).eval(), std::out_of_range);
  expect_equal(masked_scatter(a, array({false, false, false}), zeros({0})), a);
  EXPECT_THROW(masked_scatter(a, array({true, true}), a), std::invalid_argument);
  EXPECT_THROW(masked_scatter(a, array({1, 1, 1}), a), std::invalid_argument);
}

TEST(Mask, ScatterDerivatives) {
  array a = random_values({4}, 1), values = random_values({3}, 2);
  array mask = array({true, false, true, true});
  expect_derivatives([&](const array& x) { return masked_scatter(x, mask, values); }, a);
  expect_derivatives([&](const array& x) { return masked_scatter(a, mask, x); }, values);
}

TEST(Mask, Nonzero) {
  auto positions = nonzero(array({0, 3, 0, 0, 0, -1}, Shape{2, 3}, int32));
  ASSERT_EQ(positions.size(), 2u);
  expect_equal(positions[0], array({0, 1}));
  expect_equal(positions[1], array({1, 2}));
  EXPECT_EQ(nonzero(zeros({3}))[0].shape(), (Shape{0}));
  EXPECT_EQ(nonzero(zeros({0, 2})).size(), 2u);
}

}  // namespace
}  // namespace mlx::core
