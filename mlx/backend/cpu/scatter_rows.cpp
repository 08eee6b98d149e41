// Scatter of whole rows into a copy of the source.
#include "mlx/backend/cpu/scatter_rows.h"

#include <algorithm>
#include <cstring>

#include "mlx/backend/cpu/combine.h"
#include "mlx/backend/cpu/copy.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t kShortestRow = 256;
constexpr int64_t kLongestRow = 16384;
constexpr int64_t kBytesPerTask = 1 << 17;
// Updates are read in the order of their rows, which looks random: ask for them ahead.
constexpr int64_t kPrefetchAhead = 8192;

/** Positions sorted by the row they update, in order within each row. */
struct SortedPositions {
  std::vector<int64_t> begins;  // of each row, and the end
  std::vector<int64_t> positions;
};

SortedPositions sort_by_row(const ScatterWork& work, int64_t rows) {
  SortedPositions sorted;
  sorted.begins.assign(rows + 1, 0);
  sorted.positions.resize(work.count());
  for (int64_t offset : work.offsets) {
    sorted.begins[offset / work.slice_elements + 1]++;
  }
  for (int64_t row = 0; row < rows; row++) {
    sorted.begins[row + 1] += sorted.begins[row];
  }
  auto next = sorted.begins;
  for (int64_t i = 0; i < work.count(); i++) {
    sorted.positions[next[work.offsets[i] / work.slice_elements]++] = i;
  }
  return sorted;
}

void prefetch(const char* from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) {
    __builtin_prefetch(from + i);
  }
}

}  // namespace

bool scatters_rows(const ScatterWork& work, const array& source, const array& out) {
  int64_t bytes = work.slice_elements * work.dtype.size();
  auto& slice = work.slice;
  bool dense = slice.shape.size() == 1 && slice.strides[0][0] == 1 && slice.strides[1][0] == 1;
  bool readable = source.flags().row_contiguous || source.data_size() == 1;
  return dense && readable && out.flags().row_contiguous &&
         static_cast<int64_t>(out.size()) % work.slice_elements == 0 &&
         source.buffer().ptr() != out.buffer().ptr() && bytes >= kShortestRow &&
         bytes <= kLongestRow &&
         std::all_of(work.offsets.begin(), work.offsets.end(),
                     [&](int64_t offset) { return offset % work.slice_elements == 0; });
}

void scatter_rows(const ScatterWork& work, const array& source, array& out) {
  int64_t row_elements = work.slice_elements, size = work.dtype.size();
  int64_t row_bytes = row_elements * size;
  int64_t rows = static_cast<int64_t>(out.size()) / row_elements;
  auto sorted = sort_by_row(work, rows);
  auto combine = combine_row(work.mode, work.dtype);
  auto fill = combine_row(UpdateMode::Replace, work.dtype);
  bool repeated = source.data_size() == 1;
  bool streaming = out.nbytes() >= stream_threshold;
  int64_t ahead = std::max<int64_t>(1, kPrefetchAhead / row_bytes);
  auto update_row = [&](int64_t k) {
    return work.updates + work.update_offset(sorted.positions[k]) * size;
  };
  parallel_for(rows, std::max<int64_t>(1, kBytesPerTask / row_bytes),
               [&](int64_t begin, int64_t end) {
                 alignas(64) char made[kLongestRow];
                 for (int64_t row = begin; row < end; row++) {
                   const char* from = source.data<char>() + (repeated ? 0 : row * row_bytes);
                   char* to = out.data<char>() + row * row_bytes;
                   char* place = streaming ? made : to;
                   if (!repeated && row + ahead < end) {
                     prefetch(from + ahead * row_bytes, row_bytes);
                   }
                   fill(place, 1, from, repeated ? 0 : 1, row_elements);
                   for (int64_t k = sorted.begins[row]; k < sorted.begins[row + 1]; k++) {
                     if (k + ahead < work.count()) {
                       prefetch(update_row(k + ahead), row_bytes);
                     }
                     combine(place, 1, update_row(k), 1, row_elements);
                   }
                   if (streaming) {
                     stream_bytes(to, made, row_bytes);
                   }
                 }
                 if (streaming) {
                   stream_fence();
                 }
               });
}

}  // namespace mlx::core::cpu
