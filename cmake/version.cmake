# The version is stated once, in pyproject.toml; CMake, the C++ header and Python derive from it.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/pyproject.toml)
file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/pyproject.toml version_line REGEX "^version = \"" LIMIT_COUNT 1)
if(NOT version_line MATCHES "^version = \"(([0-9]+)\\.([0-9]+)\\.([0-9]+)[^\"]*)\"")
  message(FATAL_ERROR "pyproject.toml has no line: version = \"major.minor.patch...\"")
endif()
set(MLX_VERSION ${CMAKE_MATCH_1})
set(MLX_VERSION_NUMBER ${CMAKE_MATCH_2}.${CMAKE_MATCH_3}.${CMAKE_MATCH_4})
