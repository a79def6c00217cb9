# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# Every target sets up all it needs under build/ and writes nowhere else.

PYTHON ?= python3
JOBS ?= 2
HOSTS ?= healthy-client,lost-cache
BACKEND ?= auto
# Generated hosts an invariant: ten minutes on two cores.
EXAMPLES ?= 10000
# More words for coverage, bench and matrix: make matrix ARGS=--quick
ARGS ?=

ROOT := $(CURDIR)
VENV := build/venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready build/collections/.ready

# Caches and bytecode belong under build/ too; a collection that the user has must not stand in for this checkout.
export PYTHONPYCACHEPREFIX := $(ROOT)/build/cache/python
export RUFF_CACHE_DIR := $(ROOT)/build/cache/ruff
export MYPY_CACHE_DIR := $(ROOT)/build/cache/mypy
export HYPOTHESIS_STORAGE_DIRECTORY := $(ROOT)/build/cache/hypothesis
export PYTHONPATH := $(ROOT)/build/collections:$(ROOT)/tests
export ANSIBLE_COLLECTIONS_PATH := $(ROOT)/build/collections
# The files that take longest come first by their folder, so that no core waits for one at the end.
PYTEST := $(PY) -m pytest -o cache_dir=build/cache/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup demo test cases invariants mutants test-long lint sanity coverage bench lab build matrix clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: tests/requirements.txt tests/tools/setup.py
	@$(PYTHON) tests/tools/setup.py venv $(VENV)
	@touch $@

build/collections/.ready: tests/tools/setup.py | $(VENV)/.ready
	@$(PYTHON) tests/tools/setup.py collections build/collections $(PY)
	@touch $@

setup: $(READY) ## what the other targets need, under build/

demo: $(READY) ## a simulated fleet of sick and healthy hosts, fixed by the real playbook, twice
	@$(PY) -m lab demo --backend $(BACKEND)

test: $(READY) ## all tests but the slow ones
	@$(PYTEST) -m "not slow" tests

cases: $(READY) ## every case, right or wrong with what was said
	@$(PY) tests/tools/cases.py $(ARGS)

invariants: $(READY) ## what holds for every host, over 10,000 generated ones each (EXAMPLES=)
	@WU_EXAMPLES=$(EXAMPLES) $(PY) -m pytest -o cache_dir=build/cache/pytest -n $(JOBS) tests/unit/plugin_utils/test_invariants.py

mutants: $(READY) ## lines changed on purpose: does a test notice?
	@$(PY) tests/tools/mutants.py $(ARGS)

test-long: $(READY) ## all tests
	@$(PYTEST) tests

lint: $(READY) ## ruff, mypy, YAML, PowerShell for 5.1, ansible-lint
	@$(PY) tests/tools/lint.py

sanity: $(READY) ## ansible-test sanity, where a Python for the newest ansible-core is
	@$(PY) tests/tools/sanity.py

coverage: $(READY) ## line coverage of the PowerShell, over the wire
	@$(PY) tests/tools/coverage.py $(ARGS)

bench: $(READY) ## what a look and a repair cost, beside win_ping and tasks written by hand
	@$(PY) tests/benchmarks/bench.py $(ARGS)

lab: $(READY) ## a fleet to play with until Ctrl-C: make lab HOSTS=lost-cache,healthy-client*3 BACKEND=engine
	@$(PY) -m lab up --hosts '$(HOSTS)' --backend $(BACKEND)

build: $(READY) ## the collection's tarball
	@$(VENV)/bin/ansible-galaxy collection build --force --output-path build .

matrix: $(READY) ## the quick tests again on every other Python and ansible-core to be had here
	@$(PY) tests/tools/matrix.py $(ARGS)

clean: ## away with build/
	rm -rf build
