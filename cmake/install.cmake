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
  DESTINATION ${mlx_cmake_dir})

if(TARGET core AND SKBUILD)
  install(TARGETS core LIBRARY DESTINATION mlx)
  if(MLX_BUILD_STUBS)
    install(DIRECTORY ${mlx_python_dir}/core DESTINATION mlx FILES_MATCHING PATTERN "*.pyi")
  endif()
endif()
