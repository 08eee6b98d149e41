# Target mlx_tests: every file of tests/cpp in one GoogleTest executable.
file(GLOB mlx_test_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/cpp/*.cpp)
if(NOT mlx_test_sources OR NOT TARGET mlx)
  return()
endif()

find_package(GTest REQUIRED)
enable_testing()
add_executable(mlx_tests ${mlx_test_sources})
target_link_libraries(mlx_tests PRIVATE mlx GTest::gtest_main)
target_compile_options(mlx_tests PRIVATE ${MLX_WARNINGS})
add_test(NAME mlx_tests COMMAND mlx_tests)
