// Machine code that the build has made of the kernels of common programs (cmake/kernels.cmake), in
// one file beside this library. An entry is found by the digest of all that its code depends on, so
// that of another text, device or version is never taken.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mlx::core::cuda {

/** Entries are those of the cache on disk, behind a list of where they are. */
class KernelArchive {
 public:
  /** Holds nothing if there is no such file or its list was cut. */
  explicit KernelArchive(const std::string& path);
  ~KernelArchive();
  KernelArchive(const KernelArchive&) = delete;
  KernelArchive& operator=(const KernelArchive&) = delete;

  /** The one that came with this library, if any did. */
  static const KernelArchive& own();

  bool has(const std::string& digest) const { return place_of(digest) != nullptr; }

  /** The entry's bytes; nothing if there is none, or none that is whole. */
  std::optional<std::string> read(const std::string& digest) const;

 private:
  struct Place {
    char digest[32];
    uint64_t offset, size;
  };

  const Place* place_of(const std::string& digest) const;

  int file_;
  std::vector<Place> places_;  // by digest
};

}  // namespace mlx::core::cuda
