// Sizes of tiles and blocks in sorting, selection, scans and scatters. Shared by host and device.
#pragma once

#include "mlx/kernels/base.h"

namespace mlx::core::kernels {

// Short rows: neighbours of the sorted row that a thread holds.
constexpr int items_per_thread = 8;

// Long rows: what a block sorts by one byte, and the tiles of which it counts all bytes.
constexpr int radix_threads = 256, tile_items = 16, radix_tile = radix_threads * tile_items;
constexpr int digits = 256, count_tiles = 4;

// Selection: digits of keys, what a block counts, and what it deals out.
constexpr int select_threads = 256, select_bits = 11, select_digits = 1 << select_bits;
constexpr int count_tile = 32 * select_threads;
constexpr int deal_items = 16, deal_tile = select_threads * deal_items;

// Scans: packs of a row that a thread takes at once, and the rows of a block's columns.
constexpr int scan_threads = 256, row_strips = 4;
constexpr int columns_across = 32, column_strips = scan_threads / columns_across;
constexpr int strip_rows = 16, column_tile = column_strips * strip_rows;

// Scatters: positions that are few enough to compare each pair of them.
constexpr int most_few = 1024;

}  // namespace mlx::core::kernels
