// Sizes of the tiles of products. Shared by host and device.
#pragma once

namespace mlx::core::kernels {

// What a block holds of the depth at a time, and the columns of a thread's results.
constexpr int product_threads = 256, product_depth = 16, product_columns = 4;

// Tiles of results: of few rows, and of many.
constexpr int few_rows = 8, few_rows_columns = 128, many_rows = 64, many_rows_columns = 64;

}  // namespace mlx::core::kernels
