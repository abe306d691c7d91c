# Short names for what CONTRIBUTING.rst describes. PYTHON is the interpreter to use: that of .venv
# where "make setup" has made one.
PYTHON ?= $(shell test -x .venv/bin/python && echo .venv/bin/python || echo python3)

.PHONY: help check docs dist lint pyz setup test wheelhouse

help:
	@echo "make setup       an environment in .venv with all that development needs"
	@echo "make lint        ruff and mypy"
	@echo "make test        the tests, on two processes"
	@echo "make docs        the documentation, in docs/_build"
	@echo "make check       all that has to hold, as CI runs it"
	@echo "make pyz         wsgiproxy.pyz, one file that runs without an installation"
	@echo "make wheelhouse  wheelhouse/, wheels of everything with their hashes"
	@echo "make dist        dist/, the source distribution and the wheel"

setup:
	python3 -m venv .venv
	.venv/bin/python -m pip install -e ".[dev]"

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

test:
	$(PYTHON) -m pytest -n 2

docs:
	$(PYTHON) -m sphinx -W --keep-going -b html docs docs/_build

check:
	.ci/run

pyz:
	$(PYTHON) -m tools.pyz

wheelhouse:
	$(PYTHON) -m tools.wheelhouse

dist:
	$(PYTHON) -m build
	$(PYTHON) -m twine check --strict dist/*.tar.gz dist/*.whl
