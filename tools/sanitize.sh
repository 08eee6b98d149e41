#!/usr/bin/env bash
# Builds twice, with AddressSanitizer plus UndefinedBehaviorSanitizer and with ThreadSanitizer, and
# runs the C++ tests, a selection of the Python tests, all those of threads, processes, files and
# what comes from other libraries, and random programs in each, and the stress of threads under TSan.
# Any report fails. FUZZ_OPS says how many random operations are run under ASan, a fortieth of them
# under TSan. The GPU's backend is left out: without a GPU it does nothing, with one it has checkers
# of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-2} python=$PWD/.venv/bin/python selection=${SELECTION:-tiny}
ops=${FUZZ_OPS:-200000}
whole=(test_threads.py test_process.py test_io.py test_gguf.py test_debug.py test_evaluation.py
  test_compile.py test_convert.py test_export.py test_fuzz_files.py)

# Builds with sanitizers $2 in folder $1.
build() {
  cmake -S . -B "$1" -G Ninja -DCMAKE_BUILD_TYPE=Sanitize -DMLX_SANITIZE="$2" \
    -DCMAKE_CXX_FLAGS="-O1 -D_GLIBCXX_ASSERTIONS" -DMLX_BUILD_EXAMPLES=OFF -DMLX_BUILD_CUDA=OFF \
    -DPython_EXECUTABLE="$python" >/dev/null
  ninja -C "$1" -j"$jobs"
}

# Python itself is not instrumented, so the runtime of sanitizer $2 is loaded ahead of it.
run_python() {
  LD_PRELOAD="$(g++ -print-file-name="lib$2.so") $(g++ -print-file-name=libstdc++.so)" \
    PYTHONPATH=$PWD/$1/python "$python" "${@:3}"
}

# What limits the address space leaves no room for a sanitizer's own memory.
run_tests() {
  run_python "$1" "$2" -m pytest tests/python -m "$selection" -p no:cacheprovider
  run_python "$1" "$2" -m pytest "${whole[@]/#/tests/python/}" -p no:cacheprovider \
    -k "not without_threads and not leak and not kept_to_the_end"
}

export UBSAN_OPTIONS=print_stacktrace=1
# g++ 13 aligns vectors badly in the frames that it keeps to find uses after return.
asan=detect_stack_use_after_return=0
echo "-- ASan and UBSan"
build build-asan address,undefined
ASAN_OPTIONS=$asan:detect_leaks=1 build-asan/mlx_tests --gtest_brief=1
ASAN_OPTIONS=$asan:detect_leaks=0 run_tests build-asan asan # the interpreter keeps memory until exit
ASAN_OPTIONS=$asan:detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1 \
  run_python build-asan asan tests/fuzz/fuzz.py --ops "$ops" --jobs "$jobs"

echo "-- TSan"
build build-tsan thread
export TSAN_OPTIONS="halt_on_error=1 die_after_fork=0 suppressions=$PWD/tools/tsan.supp"
build-tsan/mlx_tests --gtest_brief=1
run_tests build-tsan tsan
run_python build-tsan tsan tests/stress/stress.py 60
run_python build-tsan tsan tests/fuzz/fuzz.py --ops $((ops / 40)) --jobs "$jobs"
echo "sanitize passed"
