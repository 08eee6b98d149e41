#!/usr/bin/env bash
# Builds the fuzzers and runs each on RUNS changed files, 100,000 if that is not set, beginning with
# files that the library wrote. Npz archives and exported functions are read by Python, which changes them itself.
set -euo pipefail
cd "$(dirname "$0")/../.."
runs=${RUNS:-100000} jobs=${JOBS:-2} build=${BUILD:-build} out=build-fuzz
python=(env "PYTHONPATH=$PWD/$build/python" .venv/bin/python tests/fuzz_files/mutations.py)

cmake -S tests/fuzz_files -B $out -G Ninja -DCMAKE_CXX_COMPILER=clang++ \
  -DMLX_LIBRARY="$PWD/$build/python/mlx/lib/libmlx.so" >/dev/null
ninja -C $out -j"$jobs"
"${python[@]}" seeds $out/seeds
mkdir -p $out/seeds/kernel_cache
head -c 200 $out/fuzz_npy >$out/seeds/kernel_cache/entry

for fuzzer in $out/fuzz_*; do
  [ -x "$fuzzer" ] && [ -f "$fuzzer" ] || continue
  name=${fuzzer#$out/fuzz_}
  echo "-- $name"
  mkdir -p "$out/corpus/$name"
  # Leaks are looked for at the end, since the library keeps what it needs to the end of the process.
  "$fuzzer" -runs="$runs" -max_len=4096 -rss_limit_mb=1024 -malloc_limit_mb=256 -timeout=20 \
    -artifact_prefix="$out/found-$name-" "$out/corpus/$name" "$out/seeds/$name" 2>"$out/$name.log" ||
    { tail -60 "$out/$name.log" >&2; exit 1; }
  grep -E '^Done' "$out/$name.log"
done
for kind in npz mlxfn; do
  echo "-- $kind"
  "${python[@]}" "$kind" "$runs"
done
