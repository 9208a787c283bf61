# Every command sets itself up in .venv, and works a second time with no network.

# The first that runs: a name alone may be a version manager's empty promise.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null \
	&& echo $$name && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Fetches what is missing; where nothing is, needs no network and takes a moment.
PULL := $(BIN)/tinymed models pull nano > /dev/null
# Quick tests side by side: one a processor, but no more than fit a laptop's memory. Slow ones use
# all processors themselves; two at once would wait for each other's threads.
SIDE_BY_SIDE := --numprocesses logical --maxprocesses 4 --dist loadfile
# A set-up is done anew when what is to be installed has changed, not at each call.
KEY := $(shell cat pyproject.toml src/tinymed/engines/native/c/* | cksum | cut -d ' ' -f 1)
DEMO_READY := .venv/ready-demo-$(KEY)
TEST_READY := .venv/ready-test-$(KEY)
CHECK_READY := .venv/ready-check-$(KEY)

.DEFAULT_GOAL := help
.NOTPARALLEL:  # two pips must not write to one .venv
.PHONY: help demo test test-slow check lint docs clean

help:  ## say what can be made
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile | expand -t 18

demo: $(DEMO_READY)  ## answer three questions about a real radiograph (no torch needed)
	@$(PULL)
	@$(BIN)/tinymed demo

test: $(TEST_READY)  ## run the quick tests
	@$(PULL)
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow"

test-slow: $(TEST_READY)  ## run the slow tests
	@$(PULL)
	$(BIN)/python -m pytest -m slow

check: lint test  ## format, lint, types, import contract, quick tests

lint: $(TEST_READY) $(CHECK_READY)  ## all of check but the tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy --strict src
	$(BIN)/lint-imports

$(BIN)/python:
	@test -n "$(PYTHON)" || { \
		echo "tinymed needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3" >&2; \
		exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
		echo "Python's venv is missing; on Debian: sudo apt install python3-venv" >&2; exit 1; }

$(DEMO_READY): | $(BIN)/python
	@echo "Installing tinymed into .venv (once, about a minute)"
	@$(PIP) install --quiet --editable '.[demo]'
	@touch $@

$(TEST_READY): | $(BIN)/python
	@echo "Installing tinymed, torch and the test tools into .venv (once)"
	@$(PIP) install --editable '.[torch,demo,test]'
	@touch $@ $(DEMO_READY)

$(CHECK_READY): | $(TEST_READY)
	@$(PIP) install --editable '.[check]'
	@touch $@

docs: $(TEST_READY)  ## write docs/cli.md anew from the commands
	$(BIN)/python -m tinymed.cli.reference > docs/cli.md

clean:  ## remove .venv and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build
