# Everything a fresh machine needs: Python 3.11 or later with venv, and this file.
PYTHON ?= python3
MODEL ?= credit
WORKERS ?= 2
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup harden test check lint bench coverage lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## make .venv with the locked dependencies, and nothing else on the machine

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name one as in: make setup PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --compile-bytecode requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

harden: setup ## run the pipeline: make harden MODEL=credit
	$(BIN)/hardgate harden $(MODEL)

test: setup ## run the tests, in as many processes as WORKERS says
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup

lint: setup ## format, lint, types, and the schema of compose.yaml
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml

check: lint test ## everything the hooks and CI run: format, lint, types, tests, audit
	$(BIN)/pip-audit --strict --requirement requirements.lock --no-deps --disable-pip --progress-spinner off

bench: setup ## measure the pipeline against a bare script of the same compute
	$(BIN)/python benchmarks/pipeline.py mnist

coverage: setup ## write docs/coverage.md from docs/coverage.yaml
	$(BIN)/python -m hardgate.reporting.coverage

lock: setup ## resolve the dependencies anew
	$(BIN)/uv lock --upgrade
	$(BIN)/uv export --quiet --no-emit-project --output-file requirements.lock

clean: ## remove what runs and tools made; data, keys and the registry stay
	rm -rf runs build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .dvc/cache .dvc/tmp
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
