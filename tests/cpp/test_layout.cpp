// Layout helpers: every backend trusts their answers when it skips a copy or merges loops.
#include <gtest/gtest.h>

#include "mlx/core/layout.h"

namespace mlx::core {
namespace {

TEST(Layout, RowContiguousStrides) {
  EXPECT_EQ(row_contiguous_strides({2, 3, 4}), (Strides{12, 4, 1}));
  EXPECT_EQ(row_contiguous_strides({}), Strides{});
  EXPECT_EQ(row_contiguous_strides({70000, 70000, 2}), (Strides{140000, 2, 1}));
}

TEST(Layout, Span) {
  EXPECT_EQ(layout_span({2, 3}, {3, 1}), 6u);
  EXPECT_EQ(layout_span({2, 3}, {0, 1}), 3u);
  EXPECT_EQ(layout_span({2, 3}, {10, -2}), 15u);
  EXPECT_EQ(layout_span({2, 0}, {10, 2}), 0u);
  EXPECT_EQ(layout_span({}, {}), 1u);
  EXPECT_EQ(layout_span({2147483647, 4}, {4, 1}), size_t{4} * 2147483647);
}

void expect_flags(const Shape& shape, const Strides& strides, bool dense, bool row, bool col) {
  auto flags = layout_flags(shape, strides, layout_span(shape, strides));
  EXPECT_EQ(flags.contiguous, dense) << shape << strides;
  EXPECT_EQ(flags.row_contiguous, row) << shape << strides;
  EXPECT_EQ(flags.col_contiguous, col) << shape << strides;
}

TEST(Layout, Flags) {
  expect_flags({}, {}, true, true, true);
  expect_flags({5}, {1}, true, true, true);
  expect_flags({2, 3}, {3, 1}, true, true, false);
  expect_flags({3, 2}, {1, 3}, true, false, true);
  expect_flags({2, 3, 4}, {4, 8, 1}, true, false, false);
  expect_flags({2, 3}, {4, 1}, false, false, false);
  expect_flags({4}, {-1}, false, false, false);
  expect_flags({4}, {2}, false, false, false);
  expect_flags({1, 4, 1}, {7, 1, 9}, true, true, true);
  expect_flags({2, 3}, {0, 1}, true, false, false);
  expect_flags({0, 3}, {7, 7}, true, true, true);
  // Overlapping windows span exactly as many elements as a dense layout might.
  expect_flags({3, 2}, {1, 1}, false, false, false);
}

TEST(Layout, CollapseMergesWhatAllWalkAlike) {
  auto both = collapse_dims({2, 3, 4}, {{12, 4, 1}, {12, 4, 1}});
  EXPECT_EQ(both.shape, (SmallVector<int64_t>{24}));
  EXPECT_EQ(both.strides[1], Strides{1});

  auto mixed = collapse_dims({2, 3, 4}, {{12, 4, 1}, {0, 4, 1}});
  EXPECT_EQ(mixed.shape, (SmallVector<int64_t>{2, 12}));
  EXPECT_EQ(mixed.strides[0], (Strides{12, 1}));
  EXPECT_EQ(mixed.strides[1], (Strides{0, 1}));

  auto ones = collapse_dims({1, 5, 1, 2}, {{99, 2, 99, 1}});
  EXPECT_EQ(ones.shape, (SmallVector<int64_t>{10}));

  auto broadcast = collapse_dims({4, 5}, {{0, 0}});
  EXPECT_EQ(broadcast.shape, (SmallVector<int64_t>{20}));
  EXPECT_EQ(broadcast.strides[0], Strides{0});

  auto negative = collapse_dims({4, 5}, {{-5, -1}});
  EXPECT_EQ(negative.shape, (SmallVector<int64_t>{20}));
}

TEST(Layout, CollapseEdges) {
  EXPECT_EQ(collapse_dims({}, {{}}).shape, (SmallVector<int64_t>{1}));
  EXPECT_EQ(collapse_dims({1, 1}, {{3, 3}}).shape, (SmallVector<int64_t>{1}));
  EXPECT_EQ(collapse_dims({3, 0, 2}, {{0, 2, 1}}).shape, (SmallVector<int64_t>{0}));
  auto large = collapse_dims({70000, 70000}, {{70000, 1}});
  EXPECT_EQ(large.shape, (SmallVector<int64_t>{4900000000}));
}

TEST(Layout, ElementOffset) {
  Shape shape{2, 3};
  EXPECT_EQ(element_offset(5, shape, {10, -2}), 6);
  EXPECT_EQ(element_offset(0, shape, {10, -2}), 0);
}

TEST(Layout, BroadcastStrides) {
  array a({1, 2, 3}, Shape{3, 1}, float32);
  EXPECT_EQ(broadcast_strides(a, {2, 3, 4}), (Strides{0, 1, 0}));
  EXPECT_EQ(broadcast_strides(array(1.0f), {2}), (Strides{0}));
}

TEST(Layout, DonationNeedsASoleOwnerAndTheSameSize) {
  array a({1, 2, 3}, Shape{3}, float32);
  array same({4, 5, 6}, Shape{3}, int32);
  array narrow({4, 5, 6}, Shape{3}, float16);
  EXPECT_TRUE(can_donate(a, same));
  EXPECT_FALSE(can_donate(a, narrow));
  array shared = a;
  EXPECT_FALSE(can_donate(a, same));
}

TEST(Layout, LentMemoryIsNeverDonated) {
  float values[3] = {1, 2, 3};
  array lent(values, Shape{3}, float32, [](void*) {});
  EXPECT_FALSE(can_donate(lent, array({4, 5, 6}, Shape{3}, float32)));
}

}  // namespace
}  // namespace mlx::core
