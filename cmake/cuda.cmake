# Target mlx_cuda: the GPU backend as a library of its own beside libmlx, which loads it when the
# machine has a GPU. Built where the CUDA toolkit is; its kernels are compiled at run time.
option(MLX_BUILD_CUDA "Build the GPU backend where the CUDA toolkit is found" ON)
if(NOT MLX_BUILD_CUDA OR NOT TARGET mlx)
  return()
endif()
find_package(CUDAToolkit QUIET)
if(NOT CUDAToolkit_FOUND OR NOT TARGET CUDA::nvrtc)
  message(STATUS "mlx_cuda: no CUDA toolkit, the GPU backend is left out")
  return()
endif()

file(GLOB mlx_cuda_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/mlx/backend/cuda/*.cpp
  ${PROJECT_SOURCE_DIR}/mlx/backend/cuda/runtime/*.cpp)
file(GLOB mlx_kernel_headers CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
  ${PROJECT_SOURCE_DIR}/mlx/kernels/*.h ${PROJECT_SOURCE_DIR}/mlx/backend/cuda/kernels/*.h)
set(mlx_embedded ${PROJECT_BINARY_DIR}/embedded_kernels.cpp)
list(JOIN mlx_kernel_headers "," mlx_kernel_list)
add_custom_command(OUTPUT ${mlx_embedded}
  COMMAND ${CMAKE_COMMAND} -DROOT=${PROJECT_SOURCE_DIR} -DOUTPUT=${mlx_embedded}
          -DHEADERS=${mlx_kernel_list} -P ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
  DEPENDS ${mlx_kernel_headers} ${PROJECT_SOURCE_DIR}/cmake/embed.cmake
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
  COMMENT "Embedding the kernel headers" VERBATIM)

# As object files, which cmake/kernels.cmake links once more.
add_library(mlx_cuda_objects OBJECT ${mlx_cuda_sources} ${mlx_embedded})
set_target_properties(mlx_cuda_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_include_directories(mlx_cuda_objects SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
target_link_libraries(mlx_cuda_objects PRIVATE mlx)
target_compile_options(mlx_cuda_objects PRIVATE ${MLX_WARNINGS} ${MLX_HARDENED})
if(MLX_FAULTS)
  target_compile_definitions(mlx_cuda_objects PRIVATE MLX_FAULTS)
endif()
add_library(mlx_cuda SHARED $<TARGET_OBJECTS:mlx_cuda_objects>)
target_link_libraries(mlx_cuda PRIVATE mlx CUDA::cudart_static ${CMAKE_DL_LIBS})
target_link_options(mlx_cuda PRIVATE ${MLX_HARDENED_LINK})
# Libraries of CUDA are opened at run time, when they are first needed, so looking for a GPU loads
# none. Only their headers are used here; without those of cuDNN it is never used.
find_path(MLX_CUDNN_INCLUDE_DIR cudnn_graph.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
if(MLX_CUDNN_INCLUDE_DIR)
  target_include_directories(mlx_cuda_objects SYSTEM PRIVATE ${MLX_CUDNN_INCLUDE_DIR})
endif()
# In a wheel they may be NVIDIA's Python packages beside this one; a build here takes those of the
# toolkit that it was built with. What the loader has been told to take comes first.
set(mlx_cuda_folder ${CUDAToolkit_LIBRARY_DIR})
set(mlx_cuda_rpath $ORIGIN)
if(SKBUILD)
  set(mlx_cuda_folder /usr/local/cuda/lib64)
  list(APPEND mlx_cuda_rpath $ORIGIN/../../nvidia/cu13/lib $ORIGIN/../../nvidia/cudnn/lib)
endif()
target_compile_definitions(mlx_cuda_objects PRIVATE MLX_CUDA_FOLDER="${mlx_cuda_folder}")
set_target_properties(mlx_cuda PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/python/mlx/lib
  BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "${mlx_cuda_rpath}")

if(MLX_BUILD_TESTS)
  find_package(GTest REQUIRED)
  file(GLOB mlx_cuda_test_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/cpp/cuda/*.cpp)
  add_executable(mlx_cuda_tests ${mlx_cuda_test_sources})
  target_link_libraries(mlx_cuda_tests PRIVATE mlx_cuda mlx CUDA::cudart_static GTest::gtest_main)
  target_compile_options(mlx_cuda_tests PRIVATE ${MLX_WARNINGS})
  add_test(NAME mlx_cuda_tests COMMAND mlx_cuda_tests)
endif()

if(SKBUILD)
  install(TARGETS mlx_cuda LIBRARY DESTINATION ${MLX_INSTALL_LIBDIR})
endif()
