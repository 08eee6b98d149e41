# Target mlx: the shared library libmlx.so. Files *.isa.cpp are kernels, compiled once per
# instruction-set level; everything else stays at baseline x86-64, so the library loads anywhere.
file(GLOB_RECURSE mlx_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/mlx/*.cpp)
set(mlx_isa_sources ${mlx_sources})
list(FILTER mlx_sources EXCLUDE REGEX "/mlx/backend/cuda/|\\.isa\\.cpp$")
list(FILTER mlx_isa_sources INCLUDE REGEX "/mlx/backend/cpu/.*\\.isa\\.cpp$")
if(NOT mlx_sources)
  message(STATUS "mlx: no sources yet, nothing to build")
  return()
endif()

find_package(Threads REQUIRED)
find_package(nlohmann_json REQUIRED)

add_library(mlx SHARED ${mlx_sources})
add_library(MLX::mlx ALIAS mlx)
target_include_directories(mlx PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${MLX_INSTALL_INCLUDEDIR}>)
target_compile_features(mlx PUBLIC cxx_std_20)
target_compile_options(mlx PRIVATE ${MLX_WARNINGS} ${MLX_HARDENED})
target_link_options(mlx PRIVATE ${MLX_HARDENED_LINK})
target_link_libraries(mlx PUBLIC Threads::Threads PRIVATE nlohmann_json::nlohmann_json ${CMAKE_DL_LIBS})
if(NOT MLX_SANITIZE)  # sanitizer runtimes are linked by the program, not by its libraries
  target_link_options(mlx PRIVATE -Wl,--no-undefined)
endif()
set_target_properties(mlx PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/python/mlx/lib
  BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH $ORIGIN)
if(NOT SKBUILD)  # a wheel keeps no symbolic links, so there the file name is the soname
  set_target_properties(mlx PROPERTIES VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
endif()

set_property(SOURCE ${PROJECT_SOURCE_DIR}/mlx/version.cpp
  APPEND PROPERTY COMPILE_DEFINITIONS "MLX_VERSION=\"${MLX_VERSION}\"")

mlx_with_faults(${mlx_sources})

# GCC 12 takes the deliberately undefined lanes inside its own AVX-512 intrinsics for mistakes.
set(isa_flags -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off -Wno-maybe-uninitialized)
if(MLX_SANITIZE)  # checks between vector instructions make -O3 slow to compile and no faster to run
  list(REMOVE_ITEM isa_flags -O3)
endif()
set(isa_flags_v4 -mprefer-vector-width=512)
foreach(isa v2 v3 v4)
  if(mlx_isa_sources)
    add_library(isa_${isa} OBJECT ${mlx_isa_sources})
    target_include_directories(isa_${isa} PRIVATE ${PROJECT_SOURCE_DIR})
    target_compile_definitions(isa_${isa} PRIVATE MLX_ISA=${isa})
    target_compile_options(isa_${isa} PRIVATE
      ${MLX_WARNINGS} ${isa_flags} -march=x86-64-${isa} ${isa_flags_${isa}})
    target_sources(mlx PRIVATE $<TARGET_OBJECTS:isa_${isa}>)
  endif()
endforeach()
