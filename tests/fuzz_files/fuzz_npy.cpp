// Npy files: what is taken comes back from the file that is written of it.
#include "tests/fuzz_files/bytes.h"

using namespace mlx::core;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  bool anywhere = size % 2 == 0;
  fuzz::taken([&] {
    array a = load(std::make_shared<fuzz::BytesReader>(data, size, anywhere));
    auto out = std::make_shared<fuzz::BytesWriter>();
    save(out, a);
    array b = load(std::make_shared<fuzz::BytesReader>(out->bytes.data(), out->bytes.size(), true));
    if (!fuzz::same(a, b)) {
      fuzz::report("the array that was written is not the one that was read");
    }
  });
  return 0;
}
