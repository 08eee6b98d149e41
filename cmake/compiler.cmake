# Compiler settings shared by every target: language level, optimisation, warnings, sanitizers, ccache.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)

find_program(MLX_CCACHE ccache)
if(MLX_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${MLX_CCACHE})
endif()

if(MLX_SANITIZE)
  add_compile_options(-fsanitize=${MLX_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${MLX_SANITIZE})
endif()

# Warnings for our own code only; the headers of dependencies come in as system headers. The two left
# out are wrong about inlined copies of small inline storage in GCC 12.
set(MLX_WARNINGS -Wall -Wextra -Wno-array-bounds -Wno-stringop-overflow)
