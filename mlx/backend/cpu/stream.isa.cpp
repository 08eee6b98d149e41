// Streaming stores of the widest registers.
#include "mlx/backend/cpu/stream.h"

#include <immintrin.h>

namespace mlx::core::cpu::MLX_ISA {

namespace {

#if defined(__AVX512F__)
inline void stream_line(char* to, const char* from) {
  _mm512_stream_si512(reinterpret_cast<__m512i*>(to), _mm512_loadu_si512(from));
}
#elif defined(__AVX__)
inline void stream_line(char* to, const char* from) {
  for (int i = 0; i < 64; i += 32) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i)));
  }
}
#else
inline void stream_line(char* to, const char* from) {
  for (int i = 0; i < 64; i += 16) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(to + i),
                     _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i)));
  }
}
#endif

void lines(void* to, const void* from, int64_t count) {
  auto* t = static_cast<char*>(to);
  auto* f = static_cast<const char*>(from);
  for (int64_t i = 0; i < count; ++i) stream_line(t + i * 64, f + i * 64);
}

}  // namespace

const StreamKernels& stream_kernels() {
  static constexpr StreamKernels kernels = {lines};
  return kernels;
}

}  // namespace mlx::core::cpu::MLX_ISA
