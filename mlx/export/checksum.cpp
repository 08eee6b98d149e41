// XXH64 as its specification has it: four lanes over blocks of 32 bytes, the rest word by word, and
// a mix of all bits at the end.
#include "mlx/export/checksum.h"

#include <bit>
#include <cstring>
#include <initializer_list>

namespace mlx::core {

namespace {

constexpr uint64_t prime1 = 0x9E3779B185EBCA87, prime2 = 0xC2B2AE3D27D4EB4F,
                   prime3 = 0x165667B19E3779F9, prime4 = 0x85EBCA77C2B2AE63,
                   prime5 = 0x27D4EB2F165667C5;

template <typename T>
T load(const unsigned char* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

uint64_t round_of(uint64_t lane, uint64_t word) {
  return std::rotl(lane + word * prime2, 31) * prime1;
}

uint64_t merged(uint64_t hash, uint64_t lane) {
  return (hash ^ round_of(0, lane)) * prime1 + prime4;
}

uint64_t avalanche(uint64_t hash) {
  hash = (hash ^ (hash >> 33)) * prime2;
  hash = (hash ^ (hash >> 29)) * prime3;
  return hash ^ (hash >> 32);
}

uint64_t tail(uint64_t hash, const unsigned char* p, const unsigned char* end) {
  for (; end - p >= 8; p += 8) {
    hash = std::rotl(hash ^ round_of(0, load<uint64_t>(p)), 27) * prime1 + prime4;
  }
  for (; end - p >= 4; p += 4) {
    hash = std::rotl(hash ^ (load<uint32_t>(p) * prime1), 23) * prime2 + prime3;
  }
  for (; p != end; p++) {
    hash = std::rotl(hash ^ (*p * prime5), 11) * prime1;
  }
  return hash;
}

}  // namespace

uint64_t xxh64(const void* data, size_t bytes) {
  const auto* p = static_cast<const unsigned char*>(data);
  const auto* end = p + bytes;
  uint64_t hash = prime5;
  if (bytes >= 32) {
    uint64_t a = prime1 + prime2, b = prime2, c = 0, d = 0 - prime1;
    for (; end - p >= 32; p += 32) {
      a = round_of(a, load<uint64_t>(p));
      b = round_of(b, load<uint64_t>(p + 8));
      c = round_of(c, load<uint64_t>(p + 16));
      d = round_of(d, load<uint64_t>(p + 24));
    }
    hash = std::rotl(a, 1) + std::rotl(b, 7) + std::rotl(c, 12) + std::rotl(d, 18);
    for (uint64_t lane : {a, b, c, d}) hash = merged(hash, lane);
  }
  return avalanche(tail(hash + bytes, p, end));
}

}  // namespace mlx::core
