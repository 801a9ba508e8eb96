# Two commands on a fresh machine, which needs Python >= 3.10, a C++ compiler and make:
#
#   make demo    sets everything up and runs the main job on the photographs and the model that ship with freqops
#   make test    sets everything up and runs the tests
#
# Both can be run again at any time: what is there is not made again, and after the first run no network is needed.
#
#   make build   the libraries only, incrementally         make style   ruff, mypy, clang-format: checks, no changes
#   make format  lets ruff and clang-format rewrite        make asan    small and odd sizes under AddressSanitizer
#   make bench   the benchmarks                            make clean   everything built (distclean: .venv as well)
#   make count   instructions of the CPU kernels against the recorded counts (needs valgrind)
#   make gpu     all there is to see on a GPU machine: build, tests, sanitizers, times; with PYTHON's own torch
#   make archs   the CUDA library for every architecture, and what its compiler says about registers and spills
#
# Overridable: PYTHON=python3.12, TORCH=torch==2.11.0, VENV_FLAGS=--system-site-packages (uses the torch of PYTHON),
# PYTEST_FLAGS="-k fft_filter", TEST_JOBS=1, DEMO_FLAGS="--cutoffs 4,8", GPU_FLAGS="--sizes 56,224"; environment: FREQOPS_CUDA=0|1,
# FREQOPS_CUDA_ARCHS=90.

PYTHON ?= python3
VENV ?= .venv
VENV_FLAGS ?=
TORCH ?= torch==2.13.0
# Real model definitions for the tests. --no-deps: the index has them for CUDA builds of torch only, and the
# definitions need none of the compiled parts (tests/conftest.py).
MODELS ?= torchvision==0.28.0 timm==1.0.31
DEMO_OUT ?= demo-output
DEMO_FLAGS ?=
PYTEST_FLAGS ?=
TEST_JOBS ?= $(shell nproc)
BENCH_FLAGS ?=
GPU_FLAGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
CXX_FILES = $(shell find csrc -name '*.cpp' -o -name '*.h' -o -name '*.cu' -o -name '*.cuh')

.PHONY: help build demo replay test style format asan count archs bench gpu clean distclean
.DEFAULT_GOAL := help

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

# --- set-up: one stamp per step, so that each runs once -------------------------------------------------------------

$(VENV)/.made-venv:
	@echo "== Python environment in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "freqops: Python >= 3.10 is needed; set PYTHON=")'
	@$(PYTHON) -m venv $(VENV_FLAGS) $(VENV)
	@touch $@

$(VENV)/.made-torch: $(VENV)/.made-venv
	@$(BIN)/python -c 'import torch' 2>/dev/null || { echo "== $(TORCH)"; $(PIP) install $(TORCH); }
	@touch $@

$(VENV)/.made-tools: $(VENV)/.made-torch
	@echo "== build tools"
	@$(PIP) install 'setuptools>=77' pybind11 cmake ninja
	@touch $@

# Seen by eye while it runs: the first build takes minutes. Ninja makes a later one cost a second or two.
build: $(VENV)/.made-tools
	@echo "== build"
	@$(BIN)/python setup.py --quiet build_ext --inplace

$(VENV)/.made-install: pyproject.toml setup.py | build
	@echo "== freqops (editable) and what it needs"
	@$(PIP) install --no-build-isolation -e '.[dev]'
	@touch $@

$(VENV)/.made-models: $(VENV)/.made-install
	@echo "== model definitions for the tests: $(MODELS)"
	@$(PIP) install --no-deps $(MODELS)
	@touch $@

$(VENV)/.made-bench: $(VENV)/.made-models
	@echo "== benchmark peers"
	@$(PIP) install --no-build-isolation -e '.[bench]'
	@touch $@

# --- work -------------------------------------------------------------------------------------------------------------

demo: $(VENV)/.made-install build
	@echo "== demo"
	@$(BIN)/freqops evaluate --out $(DEMO_OUT) $(DEMO_FLAGS)

# The CUDA kernels on the host: only tests need them, and they take minutes to compile.
replay: build
	@echo "== CUDA kernels for the host"
	@$(CMAKE) --build build --target freqops_replay

test: $(VENV)/.made-models build replay
	@echo "== tests"
	@$(BIN)/pytest -n $(TEST_JOBS) $(PYTEST_FLAGS)

style: $(VENV)/.made-install
	@echo "== style"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $(CXX_FILES)

format: $(VENV)/.made-install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CXX_FILES)

# Another build in a folder of its own: the package's Python files are linked beside its libraries.
LINK_PYTHON = for entry in freqops/*; do case $$entry in *.so) ;; *) ln -sfn "$(CURDIR)/$$entry" $(1)/freqops/ ;; esac; done
CMAKE = PATH="$(abspath $(BIN)):$$PATH" cmake

# Instrumented. The sanitizer has to be the first library of the process, and python itself does not bring libstdc++,
# whose throw it intercepts. Each level of the CPU kernels is a program of its own, so each is run, all at once.
# --capture=sys: what the sanitizer writes as it ends the process would otherwise go down with it.
CPU_LEVELS = from freqops import _C; all = _C.cpu_levels(); print(*all[: all.index(_C.cpu_level()) + 1])
ASAN_PRELOAD = $(shell $(CXX) -print-file-name=libasan.so) $(shell $(CXX) -print-file-name=libstdc++.so)
asan: $(VENV)/.made-models build
	@echo "== sanitizer build"
	@$(CMAKE) -S . -B build/asan -G Ninja -DFREQOPS_SANITIZE=ON \
		-DPython_EXECUTABLE=$(abspath $(BIN))/python > build/asan.log || { cat build/asan.log; exit 1; }
	@$(CMAKE) --build build/asan
	@$(call LINK_PYTHON,build/asan)
	@levels=$$($(BIN)/python -c '$(CPU_LEVELS)') && [ -n "$$levels" ] || exit 1; \
	echo "== sanitizer: $$levels"; \
	runs=; trap 'kill $$runs' INT TERM; \
	for level in $$levels; do \
		FREQOPS_CPU=$$level PYTHONPATH=build/asan LD_PRELOAD="$(ASAN_PRELOAD)" ASAN_OPTIONS=detect_leaks=0 \
		UBSAN_OPTIONS=print_stacktrace=1 $(BIN)/pytest -q -m sanitizer -p no:cacheprovider --capture=sys \
			> build/asan/$$level.log 2>&1 & runs="$$runs $$!"; \
	done; \
	status=0; for run in $$runs; do wait $$run || status=1; done; \
	for level in $$levels; do echo "-- $$level"; \
		if [ $$status = 0 ]; then tail -n 1 build/asan/$$level.log; else cat build/asan/$$level.log; fi; \
	done; exit $$status

# A guard against slower kernels that no busy neighbour can upset.
count: $(VENV)/.made-install build
	@echo "== instructions of the CPU kernels"
	@$(BIN)/python benchmarks/instructions.py

# What a release is built for; not every day's business, as each architecture takes its minutes.
ARCHS = 80;86;89;90;100;120
archs: $(VENV)/.made-models build replay
	@echo "== CUDA library for $(ARCHS)"
	@$(CMAKE) -S . -B build/archs -G Ninja -DFREQOPS_CUDA=1 "-DFREQOPS_CUDA_ARCHS=$(ARCHS)" \
		-DFREQOPS_OUTPUT_DIR=$(CURDIR)/build/archs/freqops -DPython_EXECUTABLE=$(abspath $(BIN))/python \
		> build/archs.log || { cat build/archs.log; exit 1; }
	@$(CMAKE) --build build/archs
	@$(call LINK_PYTHON,build/archs)
	@PYTHONPATH=build/archs $(BIN)/pytest -q tests/kernels/test_cuda_build.py tests/kernels/test_cuda_sass.py

bench: $(VENV)/.made-bench build
	@echo "== benchmarks"
	@$(BIN)/python benchmarks/run.py $(BENCH_FLAGS)

# Nothing is installed or downloaded: such a machine may have no network.
gpu:
	@$(PYTHON) benchmarks/gpu.py $(GPU_FLAGS)

clean:
	rm -rf build dist *.egg-info freqops/*.so $(DEMO_OUT) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
