# Target mlx_tests: every file of tests/cpp in one GoogleTest executable, and the test that holds the
# library to the list of C++ names users rely on, written anew whenever the list changes.
file(GLOB mlx_test_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/cpp/*.cpp)
if(NOT TARGET mlx)
  return()
endif()

find_package(GTest REQUIRED)
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter)

set(surface_list ${PROJECT_SOURCE_DIR}/tests/cpp/surface.json)
set(surface_writer ${PROJECT_SOURCE_DIR}/tools/make_surface_test.py)
set(surface_test ${PROJECT_BINARY_DIR}/test_surface.cpp)
add_custom_command(OUTPUT ${surface_test}
  COMMAND ${Python_EXECUTABLE} ${surface_writer} ${surface_list} ${surface_test}
  DEPENDS ${surface_list} ${surface_writer}
  COMMENT "Writing the test of the C++ surface" VERBATIM)

add_executable(mlx_tests ${mlx_test_sources} ${surface_test})
target_link_libraries(mlx_tests PRIVATE mlx GTest::gtest_main)
target_compile_options(mlx_tests PRIVATE ${MLX_WARNINGS})
add_test(NAME mlx_tests COMMAND mlx_tests)

# What a C++ user does: install, then build and run the examples with find_package(MLX).
add_test(NAME package COMMAND ${CMAKE_COMMAND} -DBUILD=${PROJECT_BINARY_DIR}
  -DEXAMPLES=${PROJECT_SOURCE_DIR}/examples/cpp -P ${PROJECT_SOURCE_DIR}/cmake/check_package.cmake)
