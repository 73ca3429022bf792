# Everything here works from a fresh clone: the first target that needs .venv makes it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test test-cluster audit check setup clean

quickstart: setup   ## train, score and look at a restorer (a few minutes on two cores)
	$(BIN)/python train.py depth=4

test: setup   ## the test suite
	$(BIN)/python -m pytest -n auto

# A SLURM and a Ray of its own, started and stopped by the tests.
test-cluster: setup   ## sweeps through a real SLURM and a real Ray (about four minutes)
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev,ray,slurm]'
	@command -v slurmctld >/dev/null || PATH="$$PATH:/usr/sbin" command -v slurmctld >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends slurm-wlm munge; } || \
	  echo "WARNING: SLURM is not here and cannot be installed (apt-get install slurm-wlm munge, as root): its tests are SKIPPED."
	$(BIN)/python -m pytest tests/cluster -p no:xdist -rs

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

audit:   ## known weaknesses of the pinned versions (needs the network)
	test -d .venv/audit || $(PYTHON) -m venv .venv/audit
	.venv/audit/bin/pip install --quiet pip-audit
	.venv/audit/bin/pip-audit -r constraints.txt --no-deps --disable-pip

clean:   ## remove the environment; results in runs/ stay
	rm -rf .venv
