# `make demo` and `make test` need Python >= 3.11 and make; they set up the rest in .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt
# The package itself is installed in place, so its bytecode is written beside it.
COMPILE := $(BIN)/python -m compileall -q fewshot episodes
# learn2learn compiles one extension; a machine without a C compiler borrows one from the registry.
CC_FOUND := $(shell command -v cc || command -v gcc || command -v clang)
# As `keep_freed_memory` in fewshot/cli/startup.py does for commands.
KEEP_MEMORY := MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824

.DEFAULT_GOAL := help
.PHONY: help setup demo test mutants notebooks lint format bench results clean

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

$(UV):
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit(f"Python >= 3.11 is needed, {sys.executable} is {v[0]}.{v[1]}; name another with make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/core.stamp: pyproject.toml constraints.txt | $(UV)
	$(INSTALL) --editable .
	$(COMPILE)
	@touch $@

$(VENV)/dev.stamp: pyproject.toml constraints.txt | $(UV)
ifeq ($(CC_FOUND),)
	$(INSTALL) ziglang
	CC="$(abspath $(BIN))/python -m ziglang cc" $(INSTALL) --editable '.[dev]'
else
	$(INSTALL) --editable '.[dev]'
endif
	$(COMPILE)
	@touch $@ $(VENV)/core.stamp

setup: $(VENV)/core.stamp  ## install the package into .venv

demo: $(VENV)/core.stamp  ## train on base classes, segment classes never seen, leave pictures in demo/
	$(BIN)/fewshot demo --out demo --overwrite

test: $(VENV)/dev.stamp  ## the whole test suite, notebooks included
	OMP_NUM_THREADS=1 $(KEEP_MEMORY) $(BIN)/python -m pytest -n 2 --dist worksteal

mutants: $(VENV)/dev.stamp  ## mutation testing: 200 small changes of the code, of which tests must notice 90 %
	$(INSTALL) --editable '.[dev,mutants]'
	$(BIN)/python tools/mutants.py

notebooks: $(VENV)/dev.stamp  ## run the notebooks and store their outputs
	$(BIN)/python tools/notebooks.py

lint: $(VENV)/dev.stamp  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev.stamp  ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/dev.stamp  ## quick benchmarks: ours and the named peers, one JSON line each
	@for script in tests/benchmarks/*.py; do $(BIN)/python $$script --quick || exit 1; done

results:  ## the commands that made docs/results, and what they take
	@$(PYTHON) tools/results.py

clean:  ## remove everything that make made
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache
