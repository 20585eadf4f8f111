# make demo: a real study on the bundled audio, from nothing to its report.
# make test: the test suite, unit tests beside those that start Ray.    make lint: style, types, import contracts.
# make clean: removes caches and builds.    make distclean: also .venv.
# Needs Linux, make, and a Python from 3.11 with venv and pip.

PYTHON ?= python3
VENV := .venv
CPC := $(VENV)/bin/cpc
INSTALLED := $(VENV)/.installed
export RAY_USAGE_STATS_ENABLED := 0
export UV_NO_CONFIG := 1

.PHONY: demo test lint ruff mypy contracts install lock clean distclean

install: $(INSTALLED)

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "cpc-study needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(VENV)/bin/uv pip install --quiet --compile-bytecode --python $(VENV)/bin/python --require-hashes --requirement requirements.lock
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED)
	@$(CPC) study run demo
	@$(CPC) report demo --out studies/demo/report.html
	@$(CPC) export demo --best --out exports/demo --overwrite
	@$(CPC) probe exports/demo sample
	@echo; echo "report: studies/demo/report.html    model: exports/demo"; echo
	@$(CPC) study best demo

test: $(INSTALLED)
	$(VENV)/bin/python -m pytest --numprocesses 2 --dist loadscope --no-loadscope-reorder

lint: ruff mypy contracts

ruff: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

mypy: $(INSTALLED)
	$(VENV)/bin/mypy

contracts: $(INSTALLED)
	$(VENV)/bin/lint-imports

lock: $(INSTALLED)
	$(VENV)/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --quiet --output-file requirements.lock

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
