# Part of the CMake package MLX: what extensions for Python are built with.

# mlx_add_extension(NAME SOURCES...): the Python module NAME, bound by nanobind, which has to share the
# domain of mlx.core to take and give its arrays. nanobind is the one of Python_EXECUTABLE.
function(mlx_add_extension name)
  find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
  if(NOT COMMAND nanobind_add_module)
    execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
      OUTPUT_STRIP_TRAILING_WHITESPACE OUTPUT_VARIABLE nanobind_ROOT COMMAND_ERROR_IS_FATAL ANY)
    find_package(nanobind CONFIG REQUIRED)
  endif()
  nanobind_add_module(${name} NB_STATIC NB_DOMAIN mlx ${ARGN})
  target_link_libraries(${name} PRIVATE mlx)
endfunction()

# Kernels for Apple's GPUs, which this package does not run: extensions ask MLX_BUILD_METAL first.
set(MLX_BUILD_METAL OFF)
function(mlx_build_metallib)
  message(FATAL_ERROR "mlx_build_metallib: this MLX is built without Metal (MLX_BUILD_METAL is OFF)")
endfunction()
