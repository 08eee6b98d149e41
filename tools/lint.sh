#!/usr/bin/env bash
# Every static check of the project over every tracked file; runs them all, then fails if one did.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build} jobs=${JOBS:-2} python=.venv/bin/python failed=()

step() {
  local name=$1
  shift
  echo "-- $name"
  "$@" || failed+=("$name")
}

format_check() { git ls-files '*.cpp' '*.h' | xargs -r clang-format --dry-run -Werror; }

# Kernel files are left out: they are in the compile database three times, and their bodies are
# header templates that the other files bring in as well.
tidy_check() {
  git ls-files 'mlx/*.cpp' 'python/src/*.cpp' | grep -vE '\.isa\.cpp$|/backend/cuda/' |
    xargs -r -n 1 -P "$jobs" clang-tidy -p "$build" --quiet 2>/dev/null
}

step "clang-format" format_check
step "ruff check" "$python" -m ruff check .
step "ruff format" "$python" -m ruff format --check .
step "mypy" env MYPYPATH="$build/python" "$python" -m mypy -p mlx
step "house rules" "$python" tools/check_house.py --build "$build"
step "clang-tidy" tidy_check

if [ ${#failed[@]} -gt 0 ]; then
  printf 'lint failed: %s\n' "${failed[*]}" >&2
  exit 1
fi
echo "lint passed"
