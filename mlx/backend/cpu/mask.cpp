// Reads and writes under a mask on the CPU: true elements are counted by chunks, and then chunks
// move their rows independently of each other.
#include "mlx/primitives/mask.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <vector>

#include "mlx/backend/cpu/copy.h"
#include "mlx/backend/cpu/registry.h"
#include "mlx/backend/cpu/words.h"
#include "mlx/core/errors.h"
#include "mlx/core/parallel.h"

namespace mlx::core::cpu {

namespace {

constexpr int64_t chunk = 4096, chunks_per_task = 8;

/** Sums of so few that bytes hold them are made many at a time. */
int64_t count_true(const bool* flags, int64_t n) {
  constexpr int64_t few = 128;
  int64_t count = 0;
  for (int64_t i = 0; i < n; i += few) {
    uint8_t some = 0;
    for (int64_t k = i; k < std::min(i + few, n); k++) {
      some += static_cast<uint8_t>(flags[k]);
    }
    count += some;
  }
  return count;
}

struct MaskWork {
  array mask;
  int64_t count;
  std::vector<int64_t> offsets;  // the true elements before each chunk, and behind that all of them

  explicit MaskWork(const array& given)
      : mask(contiguous(given)),
        count(static_cast<int64_t>(mask.size())),
        offsets((count + chunk - 1) / chunk + 1, 0) {
    for_chunks(
        [&](int64_t k, const bool* flags, int64_t n) { offsets[k + 1] = count_true(flags, n); });
    std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
  }

  /** Calls f(number, first of its elements, how many) for all chunks, on all threads. */
  template <typename F>
  void for_chunks(F f) const {
    auto chunks = static_cast<int64_t>(offsets.size()) - 1;
    parallel_for(chunks, chunks_per_task, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; k++) {
        f(k, mask.data<bool>() + k * chunk, std::min(chunk, count - k * chunk));
      }
    });
  }
};

/** Every element is written behind the chosen ones, and counts if it is one of them: no branch. */
template <typename Word>
void select_words(const MaskWork& work, const array& in, array& out) {
  work.for_chunks([&](int64_t k, const bool* flags, int64_t n) {
    Word chosen[chunk + 1];
    const Word* from = in.data<Word>() + k * chunk;
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++) {
      chosen[found] = from[i];
      found += flags[i];
    }
    std::memcpy(out.data<Word>() + work.offsets[k], chosen, found * sizeof(Word));
  });
}

/** Calls f(element of the mask, number among the true ones) for true elements. */
template <typename F>
void for_true(const MaskWork& work, F f) {
  work.for_chunks([&](int64_t k, const bool* flags, int64_t n) {
    int64_t at = work.offsets[k];
    for (int64_t i = 0; i < n; i++) {
      if (flags[i]) f(k * chunk + i, at++);
    }
  });
}

void eval_select(MaskedSelect&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  out.set_data(allocator::malloc(out.nbytes()));
  if (out.size() == 0) {
    return;
  }
  array a = contiguous(inputs[0]);
  MaskWork work(inputs[1]);
  auto bytes = static_cast<int64_t>(a.nbytes()) / work.count;
  if (std::has_single_bit(static_cast<uint64_t>(bytes)) && bytes <= 16) {
    return dispatch_word(bytes, [&](auto word) { select_words<decltype(word)>(work, a, out); });
  }
  for_true(work, [&](int64_t from, int64_t to) {
    std::memcpy(out.data<char>() + to * bytes, a.data<char>() + from * bytes, bytes);
  });
}

void eval_scatter(MaskedScatter&, const std::vector<array>& inputs, std::vector<array>& outputs) {
  array& out = outputs[0];
  if (!(inputs[0].flags().row_contiguous && write_over(inputs[0], out))) {
    copy(inputs[0], out);
  }
  if (out.size() == 0) {
    return;
  }
  MaskWork work(inputs[1]);
  array values = contiguous(inputs[2]);
  auto bytes = static_cast<int64_t>(out.nbytes()) / work.count;
  int64_t needed = work.offsets.back(), given = static_cast<int64_t>(values.nbytes()) / bytes;
  if (needed > given) {
    throw std::out_of_range(error_message("masked_scatter", "The mask has ", needed,
                                          " true elements, but there are values for ", given,
                                          " only."));
  }
  for_true(work, [&](int64_t to, int64_t from) {
    std::memcpy(out.data<char>() + to * bytes, values.data<char>() + from * bytes, bytes);
  });
}

const Register<MaskedSelect> masked_select(eval_select);
const Register<MaskedScatter> masked_scatter(eval_scatter);

}  // namespace

}  // namespace mlx::core::cpu
