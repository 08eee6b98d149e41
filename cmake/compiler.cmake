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
# Libraries are built with the search path that they are installed with: CMake would pad another one
# with colons, and to the loader each of them is the current folder.
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)

find_program(MLX_CCACHE ccache)
if(MLX_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${MLX_CCACHE})
endif()

if(MLX_SANITIZE)
  add_compile_options(-fsanitize=${MLX_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${MLX_SANITIZE})
endif()

# Against mistakes that turn into exploits: guarded stacks, checked copies; tables of addresses that
# are read-only once a library is loaded; no stack that is executed. Kernels go without the first two,
# since they call nothing that these look at. Sanitizers check more than copies.
set(MLX_HARDENED -fstack-protector-strong)
if(NOT MLX_SANITIZE AND NOT CMAKE_BUILD_TYPE STREQUAL Debug)
  list(APPEND MLX_HARDENED -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
set(MLX_HARDENED_LINK -Wl,-z,relro,-z,now,-z,noexecstack)

# Turns on the fault points of sources. Only files that have one differ from a build without them.
function(mlx_with_faults)
  foreach(source IN LISTS ARGN)
    file(STRINGS ${source} points REGEX "include \"mlx/core/(faults|threads)\\.h\"")
    if(MLX_FAULTS AND points)
      set_property(SOURCE ${source} APPEND PROPERTY COMPILE_DEFINITIONS MLX_FAULTS)
    endif()
  endforeach()
endfunction()

# Warnings for our own code only; the headers of dependencies come in as system headers. The two left
# out are wrong about inlined copies of small inline storage in GCC 12.
set(MLX_WARNINGS -Wall -Wextra -Wno-array-bounds -Wno-stringop-overflow)
