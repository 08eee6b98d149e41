// Scatters of sums and products of floats. The same bits in every run take one order of updates:
// positions are sorted by what they update, neighbours of a chunk are combined where they update
// the same, and what reaches beyond its chunk is combined by the next round.
#include <algorithm>
#include <memory>
#include <numeric>

#include "mlx/backend/cuda/copy.h"
#include "mlx/backend/cuda/kernels/order_sizes.h"
#include "mlx/backend/cuda/kernels/scatter_sorted_call.h"
#include "mlx/backend/cuda/runtime/operand.h"
#include "mlx/backend/cuda/scatter.h"
#include "mlx/backend/cuda/sort.h"
#include "mlx/backend/cuda/types.h"
#include "mlx/core/errors.h"
#include "mlx/core/layout.h"

namespace mlx::core::cuda {

namespace {

constexpr int threads = 256;

/** Each pair of positions is compared for each element of a slice: for so many comparisons. */
bool are_few(const IndexWork& work) {
  int64_t n = work.positions();
  return n <= kernels::most_few && n * n * work.slice_elements() <= int64_t{1} << 22;
}

/** Slices of different positions may overlap where they are longer than one along an indexed axis:
 *  then every element becomes a position. */
IndexWork with_parted_slices(IndexWork work) {
  bool disjoint = std::all_of(work.sources.begin(), work.sources.end(),
                              [](const IndexSource& source) { return source.slice == 1; });
  if (disjoint) {
    return work;
  }
  auto append = [](auto& list, const auto& more) {
    list.insert(list.end(), more.begin(), more.end());
  };
  for (auto& source : work.sources) {
    append(source.strides, Strides(work.slice_shape.size(), 0));
  }
  append(work.index_shape, work.slice_shape);
  append(work.array_index_strides, work.array_slice_strides);
  append(work.update_index_strides, work.update_slice_strides);
  work.slice_shape = {};
  work.array_slice_strides = work.update_slice_strides = {};
  return work;
}

/** What all offsets of positions are multiples of. */
int64_t common_unit(const IndexWork& work) {
  int64_t unit = 0;
  for (auto& source : work.sources) {
    unit = std::gcd(unit, source.stride);
  }
  for (size_t i = 0; i < work.index_shape.size(); i++) {
    unit = work.index_shape[i] > 1 ? std::gcd(unit, work.array_index_strides[i]) : unit;
  }
  return std::max<int64_t>(unit, 1);
}

/** The smallest type whose greatest number is free to stand for a bad index. */
Dtype key_type(size_t targets) {
  check(targets < ~uint32_t{0}, "scatter", "Targets of 2^32 elements or more are not available ",
        "on the GPU in this version; run it with stream=mx.cpu.");
  return targets < 0xff ? uint8 : targets < 0xffff ? uint16 : uint32;
}

// Updates of a chunk: short slices leave threads to fill the device only if chunks are short.
constexpr int64_t short_slice = 32, short_chunk = 16, long_chunk = 32;
constexpr int neighbours = 4;  // that a thread takes where they lie side by side

/** Rounds over sorted updates, each over the sums that the one before left. */
class Rounds {
 public:
  Rounds(const IndexWork& work, UpdateMode mode, const array& out, Dtype key, const Stream& s)
      : work_(work),
        mode_(mode),
        dtype_(out.dtype()),
        key_(key),
        updates_(collapse_dims(work.index_shape, {work.update_index_strides})),
        slice_(
            collapse_dims(work.slice_shape, {work.array_slice_strides, work.update_slice_strides})),
        chunk_(work.slice_elements() < short_slice ? short_chunk : long_chunk),
        width_(has_neighbours() ? neighbours : 1),
        stream_(s) {}

  void run(array& keys, array& order) {
    Items items{work_.positions(), output_address(keys),
                static_cast<const uint32_t*>(static_cast<void*>(output_address(order))), work_.in};
    std::unique_ptr<Scratch> held_keys, held_sums;
    while (items.count > 0) {
      auto left = static_cast<size_t>(left_by(items.count));
      auto left_keys = std::make_unique<Scratch>(left * key_.size(), stream_);
      auto left_sums = std::make_unique<Scratch>(
          left * static_cast<size_t>(work_.slice_elements()) * sum_size(), stream_);
      start(items, left_keys->get(), left_sums->get());
      items = {static_cast<int64_t>(left), left_keys->get(), nullptr, left_sums->get()};
      held_keys = std::move(left_keys);
      held_sums = std::move(left_sums);
    }
  }

 private:
  struct Items {
    int64_t count;
    const void* keys;
    const uint32_t* order;
    const void* values;
  };

  /** Whether slices consist of aligned packs, in the array and in the updates. */
  bool has_neighbours() const {
    auto fits = [](int64_t elements) { return elements % neighbours == 0; };
    auto are_neighbours = [](const Strides& strides) {
      return strides.size() == 1 && strides[0] == 1;
    };
    auto places = reinterpret_cast<uint64_t>(work_.in) | reinterpret_cast<uint64_t>(work_.out);
    return dtype_.size() <= 4 && fits(work_.slice_elements()) && fits(work_.unit) &&
           are_neighbours(slice_.strides[0]) && are_neighbours(slice_.strides[1]) &&
           std::all_of(updates_.strides[0].begin(), updates_.strides[0].end(), fits) &&
           places % (neighbours * dtype_.size()) == 0;
  }
  size_t sum_size() const { return std::max<size_t>(dtype_.size(), sizeof(float)); }
  int64_t chunks_of(int64_t items) const { return (items + chunk_ - 1) / chunk_; }
  /** Of each chunk its first and its last sum, unless there is only one chunk. */
  int64_t left_by(int64_t items) const {
    return items <= chunk_ ? 0 : 2 * chunks_of(items) - (items % chunk_ == 1 ? 1 : 0);
  }

  void start(const Items& items, void* left_keys, void* left_sums) {
    int index_rank = rank_class(updates_.shape.size());
    int slice_rank = rank_class(slice_.shape.size());
    KernelCall call = combine_sorted_call(mode_, dtype_, key_, items.order != nullptr, width_,
                                          index_rank, slice_rank);
    kernels::SortedUpdatesCall arguments{};
    arguments.items = items.count;
    arguments.chunk = chunk_;
    arguments.slice_elements = work_.slice_elements();
    arguments.unit = work_.unit;
    arguments.keys = items.keys;
    arguments.order = items.order;
    arguments.values = items.values;
    arguments.out = work_.out;
    arguments.left_keys = left_keys;
    arguments.left_sums = left_sums;
    Parameters parameters(arguments);
    parameters.add_padded(updates_.shape, index_rank, 1);
    parameters.add_padded(updates_.strides[0], index_rank, 0);
    parameters.add_padded(slice_.shape, slice_rank, 1);
    parameters.add_padded(slice_.strides[0], slice_rank, 0);
    parameters.add_padded(slice_.strides[1], slice_rank, 0);
    parameters.launch(kernel_of(call, stream_),
                      blocks_for(chunks_of(items.count) * work_.slice_elements() / width_, threads),
                      threads, stream_);
  }

  const IndexWork& work_;
  UpdateMode mode_;
  Dtype dtype_, key_;
  CollapsedLayout updates_, slice_;
  int64_t chunk_;
  int width_;
  Stream stream_;
};

}  // namespace

bool needs_order(UpdateMode mode, Dtype dtype) {
  if (mode == UpdateMode::Replace) return false;
  // No atomic instruction swaps more than 8 bytes.
  bool rounds = mode == UpdateMode::Sum || mode == UpdateMode::Prod;
  return dtype.size() > 8 || (rounds && issubdtype(dtype, inexact));
}

void scatter_in_order(const IndexWork& given, UpdateMode mode, const array& out, const Stream& s) {
  IndexWork work = with_parted_slices(given);
  if (are_few(work)) {
    start_indexed(work, s, [&](const IndexVariant& variant) {
      return scatter_few_call(variant, mode, out.dtype());
    });
    return;
  }
  work.unit = common_unit(work);
  Dtype type = key_type(out.size() / static_cast<size_t>(work.unit));
  array keys(work.index_shape, type, nullptr, {}), order(work.index_shape, uint32, nullptr, {});
  allocate_output(keys, s);
  allocate_output(order, s);
  IndexWork keying = work;
  keying.slice_shape = {};
  keying.array_slice_strides = keying.update_slice_strides = {};
  keying.marks = output_address(keys);
  start_indexed(keying, s,
                [&](const IndexVariant& variant) { return scatter_keys_call(variant, type); });
  sort_rows(keys, static_cast<int64_t>(keys.size()), order, true, s);
  Rounds(work, mode, out, type, s).run(keys, order);
}

KernelCall scatter_few_call(const IndexVariant& variant, UpdateMode mode, Dtype dtype) {
  return indexed_call("scatter.h", "scatter_few", variant, update_types(mode, dtype));
}

KernelCall scatter_keys_call(const IndexVariant& variant, Dtype key) {
  return indexed_call("scatter.h", "scatter_keys", variant, type_name(key));
}

KernelCall combine_sorted_call(UpdateMode mode, Dtype dtype, Dtype key, bool first, int width,
                               int index_rank, int slice_rank) {
  std::string ranks = std::to_string(index_rank) + ", " + std::to_string(slice_rank) + ">";
  return {"scatter_sorted.h", "SortedUpdates<" + ranks,
          "combine_sorted<" + update_types(mode, dtype) + ", " + type_name(key) +
              (first ? ", true, " : ", false, ") + std::to_string(width) + ", " + ranks,
          threads};
}

}  // namespace mlx::core::cuda
