# The front door: every job of the project by name. `make help` lists them.
# Each job prepares the machine first (tools/setup.sh), so a fresh clone needs nothing else.
JOBS ?= $(shell nproc)
BUILD ?= build
CMAKE_ARGS ?=
PY := $(CURDIR)/.venv/bin/python
RUN := PYTHONPATH=$(CURDIR)/$(BUILD)/python $(PY)
CONFIGURE = cmake -S . -G Ninja -DPython_EXECUTABLE=$(PY) $(CMAKE_ARGS)

.PHONY: help demo test tiny lint format sanitize stress faults fuzz fuzz-files bench build wheel setup clean
help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: build ## train on handwritten digits, save, load, draw: the main job
	$(RUN) examples/digits.py

test: build ## all C++ and Python tests
	ctest --test-dir $(BUILD) -j$(JOBS) --output-on-failure
	$(RUN) -m pytest tests/python

tiny: build ## a selection of the tests that takes under 5 seconds
	$(RUN) -m pytest tests/python -m tiny

lint: build ## formatting, static analysis, types and the house rules
	BUILD=$(BUILD) JOBS=$(JOBS) tools/lint.sh

format: setup ## rewrite C++ and Python in the project's format
	git ls-files '*.cpp' '*.h' | xargs -r clang-format -i
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

sanitize: setup ## the tests under ASan with UBSan, then under TSan
	JOBS=$(JOBS) tools/sanitize.sh

faults: setup ## memory, threads, files and GPU calls that fail on demand
	cmake -S . -B build-faults -G Ninja -DPython_EXECUTABLE=$(PY) -DMLX_FAULTS=ON \
	  -DMLX_BUILD_TESTS=OFF -DMLX_BUILD_EXAMPLES=OFF $(CMAKE_ARGS) >/dev/null
	ninja -C build-faults -j$(JOBS)
	PYTHONPATH=$(CURDIR)/build-faults/python $(PY) -m pytest tests/faults

fuzz-files: build ## files that were changed at random, 100,000 of each format
	tools/setup.sh clang libclang-rt-14-dev
	BUILD=$(BUILD) JOBS=$(JOBS) tests/fuzz_files/run.sh

stress: build ## threads over shared graphs, workers, endings, 100,000 training steps
	$(RUN) tests/stress/stress.py 60
	$(RUN) tests/stress/workers.py
	$(RUN) tests/stress/endings.py
	$(RUN) tests/stress/steps.py

fuzz: build ## random programs against NumPy for two minutes (SECONDS=..., OPS=..., SEED=...)
	$(RUN) tests/fuzz/fuzz.py $(if $(OPS),--ops $(OPS),--seconds $(or $(SECONDS),120)) \
	  $(if $(SEED),--seed $(SEED)) --jobs $(JOBS)

bench: build ## time the operations and print a table
	$(RUN) benchmarks/run.py

build: setup ## the library, the Python module, stubs, C++ tests and examples
	@test -f $(BUILD)/build.ninja || $(CONFIGURE) -B $(BUILD) -DMLX_BUILD_STUBS=ON
	ninja -C $(BUILD) -j$(JOBS)

wheel: setup ## a wheel in dist/
	$(PY) -m pip wheel . --no-deps -w dist

setup: ## Debian packages and the Python environment .venv
	@tools/setup.sh

clean: ## remove everything that was built, keep .venv
	rm -rf build build-* dist out .pytest_cache .mypy_cache .ruff_cache
