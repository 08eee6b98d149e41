# Run as a script: installs BUILD into a fresh prefix, builds the EXAMPLES against it through
# find_package(MLX) and runs them.
set(work ${BUILD}/package-check)
file(REMOVE_RECURSE ${work})
foreach(step IN ITEMS
    "--install ${BUILD} --prefix ${work}/prefix"
    "-G Ninja -S ${EXAMPLES} -B ${work}/build -DCMAKE_PREFIX_PATH=${work}/prefix"
    "--build ${work}/build"
    "--build ${work}/build --target test")
  separate_arguments(arguments UNIX_COMMAND "${step}")
  execute_process(COMMAND ${CMAKE_COMMAND} ${arguments} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
