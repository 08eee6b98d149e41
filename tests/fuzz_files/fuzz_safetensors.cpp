// Safetensors files: what is taken comes back from the file that is written of it.
#include "tests/fuzz_files/bytes.h"

using namespace mlx::core;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  bool anywhere = size % 2 == 0;
  fuzz::taken([&] {
    auto [arrays, metadata] =
        load_safetensors(std::make_shared<fuzz::BytesReader>(data, size, anywhere));
    auto out = std::make_shared<fuzz::BytesWriter>();
    save_safetensors(out, arrays, metadata);
    auto [again, same_metadata] = load_safetensors(
        std::make_shared<fuzz::BytesReader>(out->bytes.data(), out->bytes.size(), true));
    bool equal = metadata == same_metadata && again.size() == arrays.size();
    for (const auto& [name, a] : arrays) {
      equal = equal && again.contains(name) && fuzz::same(a, again.at(name));
    }
    if (!equal) {
      fuzz::report("what was written is not what was read");
    }
  });
  return 0;
}
