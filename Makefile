# `make demo` and `make test` do all the set-up themselves; they need Python 3.11 or later and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test torture check format bench clean system-packages

help:
	@echo "make demo     convert a small made data set and read it back"
	@echo "make test     run the tests"
	@echo "make torture  kill conversions 200 times, and continue them"
	@echo "make check    lint, formatting and types"
	@echo "make format   format the code"
	@echo "make bench    run the benchmarks"
	@echo "make clean    remove the virtual environment and what demo and tests left"

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/ready
	$(BIN)/python -m parallel_sharder.demo demo

test: $(VENV)/ready
	$(BIN)/python -m pytest

# Conversions that are killed with SIGKILL at random moments, continued, and compared with an undisturbed one.
torture: $(VENV)/ready
	TORTURE_KILLS=100 $(BIN)/python -m pytest tests/test_resume.py -k torture -s

check: $(VENV)/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.scan

# What the tests use of the system, beyond Python and make: gzip and GNU tar are everywhere, bsdtar and zstd are not.
# Tests that need one skip where it is missing, except in CI. Needs Debian or Ubuntu, and root.
system-packages:
	command -v bsdtar && command -v zstd || { apt-get update -qq && apt-get install -y -qq libarchive-tools zstd; }

clean:
	rm -rf $(VENV) demo dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
