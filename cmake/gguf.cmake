# The tables of GGUF's types of few bits: constants of the format, which the Python package gguf keeps.
# They are written into a source file of the build tree; without the package that has none.
if(NOT TARGET mlx)
  return()
endif()
set(mlx_gguf_script ${PROJECT_SOURCE_DIR}/cmake/gguf_tables.py)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${mlx_gguf_script})
find_package(Python 3.10 QUIET COMPONENTS Interpreter)
if(Python_FOUND)
  execute_process(COMMAND ${Python_EXECUTABLE} ${mlx_gguf_script}
    OUTPUT_VARIABLE mlx_gguf_tables ERROR_QUIET)
  execute_process(COMMAND ${Python_EXECUTABLE} ${mlx_gguf_script} --license
    OUTPUT_VARIABLE mlx_gguf_license OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT mlx_gguf_tables)
  message(STATUS "mlx: no gguf, its types of few bits will raise")
endif()

configure_file(${PROJECT_SOURCE_DIR}/cmake/gguf_tables.cpp.in
  ${PROJECT_BINARY_DIR}/gguf_tables.cpp @ONLY)
target_sources(mlx PRIVATE ${PROJECT_BINARY_DIR}/gguf_tables.cpp)
if(mlx_gguf_license)
  install(FILES ${mlx_gguf_license} DESTINATION ${MLX_INSTALL_LIBDIR} RENAME gguf.LICENSE.txt)
endif()
