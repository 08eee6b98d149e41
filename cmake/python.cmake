# Target core: the Python module mlx.core by nanobind. The build tree is laid out as the installed
# package is, so PYTHONPATH=build/python imports it; pure Python files are links into python/mlx.
file(GLOB mlx_python_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/python/src/*.cpp)
set(mlx_python_dir ${PROJECT_BINARY_DIR}/python/mlx)

add_custom_target(mlx_python_package ALL
  COMMAND ${CMAKE_COMMAND} -DFROM=${PROJECT_SOURCE_DIR}/python/mlx -DTO=${mlx_python_dir}
          -P ${PROJECT_SOURCE_DIR}/cmake/link_package.cmake
  COMMENT "Linking python/mlx into the build tree" VERBATIM)

if(NOT mlx_python_sources OR NOT TARGET mlx)
  message(STATUS "mlx.core: no sources yet, nothing to build")
  return()
endif()

find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
  OUTPUT_STRIP_TRAILING_WHITESPACE OUTPUT_VARIABLE nanobind_ROOT COMMAND_ERROR_IS_FATAL ANY)
find_package(nanobind CONFIG REQUIRED)

nanobind_add_module(core NB_STATIC NB_SUPPRESS_WARNINGS NB_DOMAIN mlx NOMINSIZE
  ${mlx_python_sources})
target_link_libraries(core PRIVATE mlx)
target_compile_options(core PRIVATE ${MLX_WARNINGS} ${MLX_HARDENED})
target_link_options(core PRIVATE ${MLX_HARDENED_LINK})
mlx_with_faults(${mlx_python_sources})
set_target_properties(core PROPERTIES
  LIBRARY_OUTPUT_DIRECTORY ${mlx_python_dir}
  BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH $ORIGIN/lib)
add_dependencies(core mlx_python_package)

if(MLX_SANITIZE AND TARGET nanobind-static)  # not our code: it copies zero bytes from null
  target_compile_options(nanobind-static PRIVATE -fno-sanitize=undefined)
endif()

# The package as a whole: what a change in one family has to rebuild before Python sees it.
add_custom_target(python DEPENDS core mlx_python_package)

if(MLX_BUILD_STUBS)
  set(mlx_stub ${mlx_python_dir}/core/__init__.pyi)
  # An isolated build finds packages by PYTHONPATH, which is set anew here.
  get_filename_component(nanobind_packages ${nanobind_ROOT}/../.. ABSOLUTE)
  add_custom_command(OUTPUT ${mlx_stub}
    COMMAND ${CMAKE_COMMAND} -E env PYTHONPATH=${PROJECT_BINARY_DIR}/python:${nanobind_packages}
            ${Python_EXECUTABLE} -m nanobind.stubgen -q -r -m mlx.core -O ${mlx_python_dir}
            -p ${PROJECT_SOURCE_DIR}/python/src/stubs.pattern
    DEPENDS core COMMENT "Generating stubs of mlx.core" VERBATIM)
  add_custom_target(stubs ALL DEPENDS ${mlx_stub})
endif()
