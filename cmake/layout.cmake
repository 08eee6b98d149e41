# Where things go on install: inside the package for a wheel, the usual places otherwise.
if(SKBUILD)
  set(MLX_INSTALL_LIBDIR mlx/lib)
  set(MLX_INSTALL_INCLUDEDIR mlx/include)
else()
  include(GNUInstallDirs)
  set(MLX_INSTALL_LIBDIR ${CMAKE_INSTALL_LIBDIR})
  set(MLX_INSTALL_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
endif()
