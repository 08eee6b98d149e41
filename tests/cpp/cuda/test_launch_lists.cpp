// Lists of kernels and libraries' calls: what of them has changed since they went out last.
#include <gtest/gtest.h>

#include "mlx/backend/cuda/runtime/replay.h"

using namespace mlx::core::cuda;

namespace {

const int kernel = 0, other_kernel = 0;

KernelLaunch launch_of(const int& which, const uint64_t& argument, unsigned blocks = 1) {
  return {&which, dim3(blocks), dim3(32), &argument, sizeof(argument)};
}

/** A kernel, a call and a kernel. */
LaunchList list_of(uint64_t argument, uint64_t call_number, uint64_t what = 7) {
  LaunchList list;
  list.add(launch_of(kernel, argument));
  list.add(RecordedCall{what, call_number, nullptr});
  list.add(launch_of(other_kernel, argument, 2));
  return list;
}

}  // namespace

TEST(LaunchLists, CallsStandAmongKernels) {
  LaunchList list = list_of(1, 2);
  EXPECT_TRUE(list.has_calls());
  EXPECT_FALSE(list.is_call(0));
  EXPECT_TRUE(list.is_call(1));
  EXPECT_EQ(list[2].grid.x, 2u);
  list.clear();
  EXPECT_FALSE(list.has_calls());
  EXPECT_TRUE(list.empty());
}

TEST(LaunchLists, ChangesAreFoundInBoth) {
  LaunchList list = list_of(1, 2);
  EXPECT_TRUE(list.changes_from(list_of(1, 2), 3).empty());
  EXPECT_EQ(list.changes_from(list_of(1, 3), 3), std::vector<uint32_t>{1});
  EXPECT_EQ(list.changes_from(list_of(4, 2), 3), (std::vector<uint32_t>{0, 2}));
}

TEST(LaunchLists, CallsOfAnotherSortAreNoChange) {
  LaunchList list = list_of(1, 2), other = list_of(1, 2, 8);
  EXPECT_TRUE(list.has_kernels_of(list_of(5, 6)));
  EXPECT_FALSE(list.has_kernels_of(other));
  EXPECT_NE(list.hash(), other.hash());
}

TEST(LibraryCalls, KeysTellArgumentsApart) {
  int64_t x = 0;
  auto key = [](uint64_t what, const void* address, float factor) {
    return LibraryCall(what).add(address).add(factor).key();
  };
  EXPECT_EQ(key(1, &x, 1.0f), key(1, &x, 1.0f));
  EXPECT_NE(key(1, &x, 1.0f), key(2, &x, 1.0f));
  EXPECT_NE(key(1, &x, 1.0f), key(1, &x + 1, 1.0f));
  EXPECT_NE(key(1, &x, 1.0f), key(1, &x, -1.0f));
  EXPECT_NE(new_call_number(), new_call_number());
}
