# What `cmake --install` and the wheel contain. A wheel keeps everything inside the package mlx/;
# an ordinary install spreads over include, lib and the CMake package that find_package(MLX) reads.
if(NOT TARGET mlx)
  return()
endif()
include(CMakePackageConfigHelpers)

set(mlx_cmake_dir ${MLX_INSTALL_LIBDIR}/cmake/MLX)
install(TARGETS mlx EXPORT MLXTargets LIBRARY DESTINATION ${MLX_INSTALL_LIBDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/mlx DESTINATION ${MLX_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h" PATTERN "*.def")
# The exported target is plain `mlx`, the name that programs written for MLX link against.
install(EXPORT MLXTargets FILE MLXTargets.cmake DESTINATION ${mlx_cmake_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/MLXConfig.cmake.in
  ${PROJECT_BINARY_DIR}/MLXConfig.cmake INSTALL_DESTINATION ${mlx_cmake_dir}
  PATH_VARS MLX_INSTALL_INCLUDEDIR MLX_INSTALL_LIBDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/MLXConfigVersion.cmake
  COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/MLXConfig.cmake ${PROJECT_BINARY_DIR}/MLXConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/MLXExtension.cmake DESTINATION ${mlx_cmake_dir})

# The same package for the build tree, in the place where a wheel has it.
set(mlx_build_cmake_dir ${PROJECT_BINARY_DIR}/python/mlx/lib/cmake/MLX)
export(TARGETS mlx FILE ${mlx_build_cmake_dir}/MLXTargets.cmake)
block()
  set(MLX_INSTALL_INCLUDEDIR ${PROJECT_SOURCE_DIR})
  set(MLX_INSTALL_LIBDIR ${PROJECT_BINARY_DIR}/python/mlx/lib)
  configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/MLXConfig.cmake.in
    ${mlx_build_cmake_dir}/MLXConfig.cmake INSTALL_DESTINATION ${mlx_build_cmake_dir}
    INSTALL_PREFIX ${PROJECT_BINARY_DIR} PATH_VARS MLX_INSTALL_INCLUDEDIR MLX_INSTALL_LIBDIR)
endblock()
configure_file(${PROJECT_BINARY_DIR}/MLXConfigVersion.cmake
  ${mlx_build_cmake_dir}/MLXConfigVersion.cmake COPYONLY)
configure_file(${PROJECT_SOURCE_DIR}/cmake/MLXExtension.cmake
  ${mlx_build_cmake_dir}/MLXExtension.cmake COPYONLY)

if(TARGET core AND SKBUILD)
  install(TARGETS core LIBRARY DESTINATION mlx)
  if(MLX_BUILD_STUBS)
    install(DIRECTORY ${mlx_python_dir}/core DESTINATION mlx FILES_MATCHING PATTERN "*.pyi")
  endif()
endif()
