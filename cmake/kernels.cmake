# Kernels of common programs, compiled in advance for the wheel: the GPU backend on a hollow runtime
# goes through cmake/kernel_programs.py once for each architecture (see cmake/precompile.py).
option(MLX_PRECOMPILE_KERNELS "Compile kernels of common programs in advance (minutes)" OFF)
set(MLX_PRECOMPILE_ARCHITECTURES sm_80 sm_90 sm_100 CACHE STRING "GPUs to compile them for")
if(NOT TARGET core OR NOT TARGET mlx_cuda OR NOT (MLX_BUILD_TESTS OR MLX_PRECOMPILE_KERNELS))
  return()
endif()

set(mlx_hollow ${PROJECT_SOURCE_DIR}/mlx/backend/cuda/hollow)
set(mlx_hollow_dir ${PROJECT_BINARY_DIR}/hollow)
add_library(mlx_hollow_cuda SHARED
  $<TARGET_OBJECTS:mlx_cuda_objects> ${mlx_hollow}/hollow_runtime.cpp)
target_link_libraries(mlx_hollow_cuda PRIVATE mlx ${CMAKE_DL_LIBS})
set_target_properties(mlx_hollow_cuda PROPERTIES OUTPUT_NAME mlx_cuda)
add_library(mlx_hollow_matmul SHARED ${mlx_hollow}/hollow_matmul.cpp)
set_target_properties(mlx_hollow_matmul PROPERTIES
  PREFIX "" OUTPUT_NAME libcublasLt SUFFIX .so.${CUDAToolkit_VERSION_MAJOR})
foreach(target mlx_hollow_cuda mlx_hollow_matmul)
  target_include_directories(${target} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  target_compile_options(${target} PRIVATE ${MLX_WARNINGS})
  set_target_properties(${target} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${mlx_hollow_dir}
    BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH $ORIGIN)
endforeach()

if(MLX_PRECOMPILE_KERNELS)
  set(mlx_kernels ${PROJECT_BINARY_DIR}/python/mlx/lib/kernels.bin)
  set(mlx_precompile ${PROJECT_SOURCE_DIR}/cmake/precompile.py)
  set(mlx_kernel_programs ${PROJECT_SOURCE_DIR}/cmake/kernel_programs.py)
  add_custom_command(OUTPUT ${mlx_kernels}
    COMMAND ${Python_EXECUTABLE} ${mlx_precompile} ${PROJECT_BINARY_DIR}/python/mlx ${mlx_hollow_dir}
            ${mlx_kernel_programs} ${mlx_kernels} ${MLX_PRECOMPILE_ARCHITECTURES}
    DEPENDS core mlx_python_package mlx_hollow_cuda mlx_hollow_matmul ${mlx_precompile}
            ${mlx_kernel_programs}
    COMMENT "Compiling kernels of common programs" VERBATIM)
  add_custom_target(kernels ALL DEPENDS ${mlx_kernels})
  install(FILES ${mlx_kernels} DESTINATION ${MLX_INSTALL_LIBDIR})
endif()
