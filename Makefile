# Everything here works from a fresh clone: the first target that needs .venv makes it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test check setup clean

quickstart: setup   ## train, score and look at a restorer (a few minutes on two cores)
	$(BIN)/python train.py depth=4

test: setup   ## the test suite
	$(BIN)/python -m pytest -n auto

check: setup   ## ruff, mypy, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MAKE) test

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

clean:   ## remove the environment; results in runs/ stay
	rm -rf .venv
