# `make demo` and `make test` need nothing but Python 3.11 or newer with pip: each makes its own environment first.
PYTHON ?= python3
WORKERS ?= 2
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
VENV := .venv/$(VERSION)
BIN := $(VENV)/bin
# One thread to a process: the cores go to the test workers. The tests of the command line start processes that inherit this.
ONE_THREAD := OMP_NUM_THREADS=1 XLA_FLAGS="--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

# Tests, their workers and the processes they start share what they compile.
CACHE := JAX_COMPILATION_CACHE_DIR=$(CURDIR)/.venv/compiled JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1

.PHONY: help demo studio test lint pytest slow bench docs site clean

help:  ## say what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(VENV)/.core  ## the whole loop on the Weinberg angle, with a report
	$(BIN)/quincunx demo weinberg_toy

studio: $(VENV)/.studio  ## the same, and then in the browser, until Ctrl-C
	$(BIN)/quincunx demo weinberg_toy --studio

test: lint pytest  ## check the code and run every test that guards a promise

lint: $(VENV)/.dev  ## style, types and the floors of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

pytest: $(VENV)/.dev  ## tests and doctests
	$(ONE_THREAD) $(CACHE) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow"

slow: $(VENV)/.dev  ## the long tests
	$(ONE_THREAD) $(BIN)/python -m pytest -m slow

bench: $(VENV)/.dev  ## ours, the peer, the ratio, the limit
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/million.py
	$(BIN)/python benchmarks/shards.py
	$(BIN)/python benchmarks/writers.py
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/chaos.py
	$(BIN)/python benchmarks/two_moons.py
	$(BIN)/python benchmarks/against_sbi.py

docs: $(VENV)/.core  ## draw the README's picture and run the tutorials anew
	$(BIN)/python docs/draw.py
	$(BIN)/python docs/execute.py $(addprefix docs/,$(addsuffix .md,first-five-minutes simulate infer check loop commands))

site: $(VENV)/.site  ## the documentation as a static site, in site/
	$(BIN)/python docs/site/build.py site

clean:  ## remove the environments and everything built
	rm -rf .venv build dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Quincunx needs Python 3.11 or newer; '$(PYTHON)' is not. Say which: make PYTHON=python3.12 ..." >&2; exit 2; }
	@# Some systems ship Python without ensurepip; then the pip at hand fills the environment.
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV) && $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(VENV)/bin/python install pip; }

$(VENV)/.studio: $(VENV)/.core
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[studio]"
	@touch $@

$(VENV)/.core: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.core

$(VENV)/.site: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@ $(VENV)/.core
