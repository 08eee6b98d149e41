// GGUF files, which are read by name only: the bytes go to a file in memory. Everything that is
// taken is decoded.
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz_files/bytes.h"

using namespace mlx::core;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int file = memfd_create("input.gguf", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) {
    fuzz::report("the input cannot be written");
  }
  fuzz::taken([&] {
    auto [arrays, metadata] = load_gguf(path);
    std::vector<array> all;
    for (const auto& [name, a] : arrays) {
      all.push_back(a);
    }
    for (const auto& [key, value] : metadata) {
      if (auto* a = std::get_if<array>(&value)) {
        all.push_back(*a);
      }
    }
    eval(all);
  });
  return 0;
}
