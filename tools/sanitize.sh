#!/usr/bin/env bash
# Builds twice, with AddressSanitizer plus UndefinedBehaviorSanitizer and with ThreadSanitizer, and
# runs the C++ tests and a selection of the Python tests in each. Any report fails.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${JOBS:-2} python=$PWD/.venv/bin/python selection=${SELECTION:-tiny}

# Builds with sanitizers $2 in folder $1.
build() {
  cmake -S . -B "$1" -G Ninja -DCMAKE_BUILD_TYPE=Sanitize -DCMAKE_CXX_FLAGS=-O1 \
    -DMLX_SANITIZE="$2" -DMLX_BUILD_EXAMPLES=OFF -DPython_EXECUTABLE="$python" >/dev/null
  ninja -C "$1" -j"$jobs"
}

# Python itself is not instrumented, so the runtime of sanitizer $2 is loaded ahead of it.
run_python() {
  LD_PRELOAD="$(g++ -print-file-name="lib$2.so") $(g++ -print-file-name=libstdc++.so)" \
    PYTHONPATH=$PWD/$1/python "$python" -m pytest tests/python -m "$selection" -p no:cacheprovider
}

export UBSAN_OPTIONS=print_stacktrace=1
echo "-- ASan and UBSan"
build build-asan address,undefined
ASAN_OPTIONS=detect_leaks=1 build-asan/mlx_tests --gtest_brief=1
ASAN_OPTIONS=detect_leaks=0 run_python build-asan asan # the interpreter keeps memory until exit

echo "-- TSan"
build build-tsan thread
export TSAN_OPTIONS=halt_on_error=1
build-tsan/mlx_tests --gtest_brief=1
run_python build-tsan tsan
echo "sanitize passed"
