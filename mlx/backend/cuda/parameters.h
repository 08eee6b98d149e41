// Arguments of a kernel that takes one struct of 64-bit words, whose size depends on the call.
#pragma once

#include <cstring>
#include <type_traits>

#include "mlx/backend/cuda/jit.h"
#include "mlx/small_vector.h"

namespace mlx::core::cuda {

class Parameters {
 public:
  Parameters() = default;
  /** Begins with what kernels for any number of dimensions take; lists of dimensions follow it. */
  template <typename Call>
  explicit Parameters(const Call& call) {
    add_struct(call);
  }

  template <typename Struct>
  void add_struct(const Struct& s) {
    static_assert(std::is_trivially_copyable_v<Struct> && sizeof(Struct) % sizeof(uint64_t) == 0,
                  "arguments are copied as whole words");
    size_t words = words_.size();
    words_.resize(words + sizeof(Struct) / sizeof(uint64_t));
    std::memcpy(words_.data() + words, &s, sizeof(Struct));
  }
  /** What another call takes, behind what is there. */
  void add_all(const Parameters& other) {
    words_.insert(words_.end(), other.words_.begin(), other.words_.end());
  }
  size_t size() const { return words_.size(); }
  void add_zeros(size_t words) { words_.resize(words_.size() + words); }
  void add(int64_t x) { words_.push_back(static_cast<uint64_t>(x)); }
  void add(const void* address) { words_.push_back(reinterpret_cast<uint64_t>(address)); }
  void add_value(const void* value, size_t bytes) {
    uint64_t word = 0;
    std::memcpy(&word, value, bytes);
    words_.push_back(word);
  }
  /** The last `rank` entries for a list that may be shorter; `fill` in front of it. */
  template <typename List>
  void add_padded(const List& list, int rank, int64_t fill) {
    for (int i = rank - static_cast<int>(list.size()); i > 0; i--) {
      add(fill);
    }
    for (auto x : list) {
      add(static_cast<int64_t>(x));
    }
  }

  uint64_t launch(Kernel kernel, dim3 grid, dim3 block, const Stream& s,
                  size_t shared_bytes = 0) const {
    size_t bytes = words_.size() * sizeof(uint64_t);
    return cuda::launch(
        {kernel, grid, block, words_.data(), bytes, shared_bytes, 0, /*waits=*/true}, s);
  }

 private:
  SmallVector<uint64_t, 64> words_;
};

/** The number of dimensions that a kernel for `rank` of them is made for: few sorts serve all.
 *  Throws past the most that there is. */
int rank_class(size_t rank);

}  // namespace mlx::core::cuda
