// Finds AMX with cpuid, asks Linux for permission and configures tiles.
#include "mlx/backend/cpu/runtime/amx.h"

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "mlx/backend/cpu/runtime/isa.h"
#include "mlx/utils.h"

namespace mlx::core::cpu {

namespace {

constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM of arch_prctl
constexpr int kTileData = 18;               // the state component that holds the tiles
constexpr unsigned kTileStates = 3u << 17;  // configuration and data, in XCR0

constexpr unsigned kBf16Bit = 1u << 22, kTileBit = 1u << 24, kInt8Bit = 1u << 25;  // leaf 7, edx

thread_local int uses = 0;

unsigned enabled_states() {
  unsigned low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

/** The bits of cpuid's leaf 7 that may be relied on. */
unsigned find_features() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (isa() != Isa::v4 || env::get_var("MLX_CPU_AMX", 1) == 0) return 0;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(edx & kTileBit)) return 0;
  if ((enabled_states() & kTileStates) != kTileStates) return 0;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0 ? edx : 0;
}

unsigned features() {
  static const unsigned found = find_features();
  return found;
}

struct alignas(64) Configuration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

constexpr Configuration whole_tiles() {
  Configuration c;
  for (int i = 0; i < 8; ++i) {
    c.row_bytes[i] = kAmxTileBytes;
    c.rows[i] = kAmxTileRows;
  }
  return c;
}

constexpr Configuration configuration = whole_tiles();

__attribute__((target("amx-tile"))) void configure() { _tile_loadconfig(&configuration); }
__attribute__((target("amx-tile"))) void release() { _tile_release(); }

}  // namespace

bool has_amx_bf16() { return features() & kBf16Bit; }
bool has_amx_int8() { return features() & kInt8Bit; }

AmxTiles::AmxTiles() {
  if (uses++ == 0) configure();
}

AmxTiles::~AmxTiles() {
  if (--uses == 0) release();
}

}  // namespace mlx::core::cpu
