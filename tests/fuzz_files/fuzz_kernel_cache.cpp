// Entries of the cache of compiled kernels: one that was not written by the library, byte for byte,
// is none.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "mlx/backend/cuda/jit_cache.h"
#include "tests/fuzz_files/bytes.h"

using namespace mlx::core;

namespace {

const std::string& folder() {
  static const auto* path = [] {
    char name[] = "/dev/shm/fuzz-cache-XXXXXX";  // in memory
    if (!mkdtemp(name)) {
      fuzz::report("no folder can be made");
    }
    setenv("XDG_CACHE_HOME", name, 1);
    std::atexit([] { std::filesystem::remove_all(folder()); });
    return new std::string(name);
  }();
  return *path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string where = folder() + "/lazuli/cuda/entry";
  const std::string bytes(data, data + size);
  cuda::write_cached("entry", bytes);
  auto whole = cuda::read_cached("entry");
  // An entry of nothing is no use to anyone, and is taken for one that was cut.
  if (whole.has_value() != (size > 0) || (whole && *whole != bytes)) {
    fuzz::report("an entry does not come back");
  }
  std::ofstream(where, std::ios::binary | std::ios::trunc).write(bytes.data(), size);
  auto read = cuda::read_cached("entry");
  if (read && cuda::text_digest(*read) + *read != bytes) {
    fuzz::report("an entry without its checksum was taken");
  }
  return 0;
}
