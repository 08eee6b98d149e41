# OpenBLAS, which the decompositions on the CPU open at run time: the library of the Python package
# scipy-openblas32, copied beside libmlx in the build tree and on install. Nothing links against it.
if(NOT TARGET mlx)
  return()
endif()
find_package(Python 3.10 QUIET COMPONENTS Interpreter)
if(Python_FOUND AND NOT MLX_OPENBLAS_LIBRARY)
  execute_process(COMMAND ${Python_EXECUTABLE} -c
    "import importlib.util as u; s = u.find_spec('scipy_openblas32'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE mlx_openblas_dir OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
find_library(MLX_OPENBLAS_LIBRARY scipy_openblas HINTS ${mlx_openblas_dir}/lib)
if(NOT MLX_OPENBLAS_LIBRARY)
  message(STATUS "mlx: no scipy-openblas32, decompositions on the CPU will raise")
  return()
endif()

configure_file(${MLX_OPENBLAS_LIBRARY} ${PROJECT_BINARY_DIR}/python/mlx/lib/libscipy_openblas.so COPYONLY)
install(PROGRAMS ${MLX_OPENBLAS_LIBRARY} DESTINATION ${MLX_INSTALL_LIBDIR})
get_filename_component(mlx_packages ${MLX_OPENBLAS_LIBRARY}/../../.. ABSOLUTE)
file(GLOB mlx_openblas_license ${mlx_packages}/scipy_openblas32-*.dist-info/licenses/LICENSE.txt)
if(mlx_openblas_license)
  install(FILES ${mlx_openblas_license} DESTINATION ${MLX_INSTALL_LIBDIR}
    RENAME libscipy_openblas.LICENSE.txt)
endif()
