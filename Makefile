# Two commands: `make up` runs the product, `make test` proves it. Both set up everything they need.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= $(shell nproc 2>/dev/null || echo 2)

export UV_PYTHON_DOWNLOADS := never

.PHONY: help up test check lint types imports locks audit bench million chaos attack cluster upgrade lock front clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "gesso needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 up"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	@touch $@

front: $(READY) ## build styles and scripts (only when they changed)
	@$(BIN)/python hatch_build.py

up: front ## run the product: database, sandbox, web, worker
	@$(BIN)/gesso up

test: front ## run all tests
	@$(BIN)/python -m tests.find_programs
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

check: lint types imports locks ## style, types, import order, locks

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

locks: ## locks name no registry
	@! grep -n '://' requirements.lock package-lock.json || { echo "a lock file carries an address"; exit 1; }

bench: front ## measure (see bench/README.md)
	@$(BIN)/python -m bench

million: front ## fill a database with a million pictures and measure the pages (see bench/README.md)
	@$(BIN)/python -m bench.million

chaos: front ## kill, pause, starve and disconnect everything under load, then prove nothing was lost
	@$(BIN)/python -m chaos

attack: front ## try to spend, pay, forge and look at what is not one's own; every success is a failure
	@$(BIN)/python -m attack

cluster: front ## two webs, two workers, nginx, PostgreSQL and S3 on this machine; rolling restart under load
	@$(BIN)/python deploy/local-cluster

upgrade: front ## an earlier release at work, this one's migration under load, one process after the other replaced
	@$(BIN)/python deploy/upgrade-drill

audit: $(READY) ## known vulnerabilities of what is locked (asks pypi.org and the npm registry)
	@$(BIN)/python -m tests.security.audit

lock: $(READY) ## resolve dependencies again after a change in pyproject.toml
	@$(BIN)/uv lock --quiet
	@$(BIN)/uv export --quiet --all-groups --no-header --no-annotate --no-emit-project --output-file requirements.lock
	@rm -f uv.lock

clean: ## remove everything that was built or installed here (the data folder .gesso stays)
	rm -rf $(VENV) node_modules build dist src/gesso/web/static/dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
