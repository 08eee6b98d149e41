// Compiled kernels on disk: entries come back whole or not at all.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "mlx/backend/cuda/jit_cache.h"

using namespace mlx::core::cuda;

namespace {

namespace fs = std::filesystem;

/** The cache folder of this process, which is found once. */
fs::path folder() {
  static const fs::path base = [] {
    std::string name = (fs::temp_directory_path() / "lazuli-test-XXXXXX").string();
    fs::path made = mkdtemp(name.data());
    setenv("XDG_CACHE_HOME", made.c_str(), 1);
    return made;
  }();
  return base / "lazuli" / "cuda";
}

}  // namespace

TEST(JitCache, KeepsEntries) {
  folder();
  EXPECT_FALSE(read_cached("nothing"));
  for (const std::string& code : {std::string("code"), std::string(100000, '\0')}) {
    write_cached("entry", code);
    EXPECT_EQ(read_cached("entry"), code);
  }
}

TEST(JitCache, RefusesWhatWasCutOrChanged) {
  auto file = folder() / "damaged";
  std::string code(1000, 'c');
  for (size_t length : {0, 1, 31, 32, 33, 500, 1031}) {
    write_cached("damaged", code);
    fs::resize_file(file, length);
    EXPECT_FALSE(read_cached("damaged")) << length;
  }
  for (int place : {0, 31, 32, 1031}) {
    write_cached("damaged", code);
    std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).seekp(place).put('!');
    EXPECT_FALSE(read_cached("damaged")) << place;
  }
  write_cached("damaged", code);
  EXPECT_EQ(read_cached("damaged"), code);
}
