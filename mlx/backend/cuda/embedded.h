// The kernel headers as text inside the library, written by the build (cmake/embed.cmake).
#pragma once

namespace mlx::core::cuda {

struct EmbeddedHeader {
  const char* name;  // as it is included
  const char* text;
};

extern const EmbeddedHeader embedded_headers[];
extern const int embedded_header_count;

}  // namespace mlx::core::cuda
