// AMX: eight matrix registers per core, called tiles, and products of them. Found at run time; the
// kernel of the operating system has to permit it, once per process, and every thread configures
// its own tiles.
#pragma once

namespace mlx::core::cpu {

// Whether this process may use tiles with products of bf16 or of int8. The first call asks the
// operating system. False when isa() was lowered below v4, or by MLX_CPU_AMX=0.
bool has_amx_bf16();
bool has_amx_int8();

constexpr int kAmxTileRows = 16;
constexpr int kAmxTileBytes = 64;  // of a row

// While one is alive, the calling thread's eight tiles have kAmxTileRows rows of kAmxTileBytes
// bytes; before and after they have no size, and cost nothing when threads are switched. May be
// nested. Only to be made when has_amx_bf16() or has_amx_int8().
class AmxTiles {
 public:
  AmxTiles();
  ~AmxTiles();
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;
};

}  // namespace mlx::core::cpu
