# `make demo` and `make test` do all the set-up themselves; they need Python 3.11 or later and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READERS := .venv-readers

.PHONY: help demo test test-cluster test-readers torture fuzz check format bench clean system-packages cluster-packages

help:
	@echo "make demo     convert a small made data set and read it back"
	@echo "make test     run the tests"
	@echo "make test-cluster  run the engines of Ray and Dask, and array jobs, on made hosts; installs 0.4 GB"
	@echo "make test-readers  read shards with wids, datasets, DALI, energon, timm and torch; installs 7 GB"
	@echo "make torture  kill conversions and nodes of arrays 1,080 times, and continue them"
	@echo "make fuzz     feed broken annotations, images, samples, journals, manifests, names, tables and tars to what reads them"
	@echo "make check    lint, formatting and types"
	@echo "make format   format the code"
	@echo "make bench    run the benchmarks, half an hour"
	@echo "make clean    remove the virtual environments and what demo and tests left"

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/ready
	$(BIN)/python -m parallel_sharder.demo demo

test: $(VENV)/ready
	$(BIN)/python -m pytest

# Ray and Dask, in the environment of the other tests. As root, `make cluster-packages` installs what makes hosts.
$(VENV)/cluster: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,cluster]'
	@touch $@

test-cluster: $(VENV)/cluster
	$(BIN)/python -m pytest tests/cluster

# The readers bring some 7 GB, most of it CUDA, though nothing here needs a GPU; so they have an environment of their own.
# The last webdataset that had wids in it is in a folder beside the present one, with what the present one depends on.
$(READERS)/ready: pyproject.toml
	$(PYTHON) -m venv $(READERS)
	$(READERS)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[readers,test]'
	$(READERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
		--target $(READERS)/webdataset-0.2.111 webdataset==0.2.111
	@touch $@

test-readers: $(READERS)/ready
	$(READERS)/bin/python -m pytest tests/readers

# Conversions that are killed with SIGKILL at random moments, continued, and compared with an undisturbed one; and nodes
# of an array, of which one is killed. Of class folders, tables and shards, also all faults at all moments.
torture: $(VENV)/ready
	TORTURE_KILLS=100 ARRAY_KILLS=20 $(BIN)/python -m pytest tests/test_resume.py tests/test_array.py \
		tests/test_layouts.py tests/test_staging_stage.py -k torture -s

# Coverage-guided fuzzing of all that reads what may be broken: four million inputs and more, in about an hour.
FUZZ_INPUTS ?= 300000
fuzz: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	for target in annotation shapes image sample journal manifest yaml tar archive zip keys where csv jsonl shards; do \
		$(BIN)/python -m tests.fuzz $$target $(FUZZ_INPUTS) || exit 1; done

check: $(VENV)/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/ready
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Half an hour on two cores, and some 15 GB in .bench. Programs to compare with that are not installed are left out:
# .venv/bin/pip install -e '.[peers]' brings them, and takes some GB itself.
bench: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench,cluster]'
	mkdir -p .bench
	$(BIN)/python -m benchmarks.throughput --folder .bench
	$(BIN)/python -m benchmarks.throughput --folder .bench --cold
	$(BIN)/python -m benchmarks.cold_files --folder .bench
	$(BIN)/python -m benchmarks.workers --folder .bench --plot benchmarks/workers.png
	$(BIN)/python -m benchmarks.profile --folder .bench --images 12000 --plot benchmarks/profile.png
	$(BIN)/python -m benchmarks.compression --folder .bench
	$(BIN)/python -m benchmarks.memory --folder .bench
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.dealing --folder .bench
	$(BIN)/python -m benchmarks.engines --folder .bench
	$(BIN)/python -m benchmarks.coordinator --folder .bench
	$(BIN)/python -m benchmarks.nodes --folder .bench
	$(BIN)/python -m benchmarks.safety --folder .bench
	$(BIN)/python -m benchmarks.output --folder .bench
	$(BIN)/python -m benchmarks.archives --folder .bench
	$(BIN)/python -m benchmarks.reshard --folder .bench
	$(BIN)/python -m benchmarks.indexes --folder .bench
	$(BIN)/python -m benchmarks.scan --folder .bench/tiny
	$(BIN)/python -m benchmarks.class_folders --folder .bench/class_folders
	$(BIN)/python -m benchmarks.tables --folder .bench/tables
	$(BIN)/python -m benchmarks.whole_set --folder .bench/tiny
	$(BIN)/python -m benchmarks.staging --folder .bench
	$(BIN)/python -m benchmarks.report_page --folder .bench
	$(BIN)/python -m benchmarks.seeking_disk --folder .bench --bytes 3e8 --runs 1 || [ $$? -eq 2 ] # needs root

# What the tests use of the system, beyond Python and make: gzip and GNU tar are everywhere, these are not. Chromium
# opens report pages.
# Tests that need one skip where it is missing, except in CI. Needs Debian or Ubuntu, and root.
system-packages:
	command -v bsdtar && command -v strace && command -v zstd && command -v chromium || \
	{ apt-get update -qq && apt-get install -y -qq libarchive-tools strace zstd chromium; }

# What the tests of more than one host use: networks, mounts and names of their own for made hosts, and Slurm.
cluster-packages:
	command -v ip && command -v unshare && command -v munged && command -v slurmctld && command -v slurmd || \
	{ apt-get update -qq && apt-get install -y -qq iproute2 util-linux munge slurm-wlm; }

clean:
	rm -rf $(VENV) $(READERS) .bench demo dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
