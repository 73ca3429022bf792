# Everything here works from a fresh clone: the first target that needs .venv makes it.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart bench bundle test coverage test-quick test-gpu test-cluster browser docs audit lint check setup clean
EXPERIMENTS := table1 table2 table3 table4 fig3 fig5 fig6 fig7 fig12 fig13 fig14
.PHONY: $(EXPERIMENTS)

# Of an experiment: which data (synthetic, benchmarks, or one data set), how long (smoke, cpu, paper),
# where (an option of hydra/launcher; none: here, JOBS runs at a time, 0: as cores and memory allow), and more overrides of every run.
DATASET ?= synthetic
BUDGET ?= cpu
LAUNCHER ?=
JOBS ?= $(if $(LAUNCHER),1,0)
ARGS ?=

quickstart: setup   ## train, score and look at a restorer (a few minutes on two cores)
	$(BIN)/python train.py dataset=rain_strong depth=4

$(EXPERIMENTS): setup   ## a table or figure of the paper: its runs, then its report
	$(BIN)/ir-lightning experiment $@ --dataset $(DATASET) --budget $(BUDGET) --jobs $(JOBS) $(if $(LAUNCHER),--launcher $(LAUNCHER)) $(ARGS)

bench: setup   ## every figure of docs/performance.md that has a goal (a quarter of an hour on two idle cores)
	$(BIN)/python -m benchmarks

# DATA=FOLDER/rain800 packs a benchmark, too.
bundle: setup   ## code, packages and data for a GPU machine without a network, in parts of at most 60 MB
	$(BIN)/python gpu/bundle.py $(if $(DATA),--data $(DATA))

test: setup browser   ## the whole test suite
	$(BIN)/python -m pytest -n auto --dist loadgroup

coverage: setup   ## the whole test suite, and which lines it runs
	$(BIN)/python -m pytest -n auto --dist loadgroup --cov=ir_lightning --cov-report=term:skip-covered

test-quick: setup   ## what takes under two minutes: a first answer
	$(BIN)/python -m pytest -n auto --dist loadgroup -m "not slow and not gpu and not network"

test-gpu: setup   ## what needs a CUDA device
	$(BIN)/python -m pytest tests/gpu -rs

# The tests of pages drive a real browser; without the right to install one they are skipped, with the reason.
browser:
	@command -v chromium >/dev/null || [ ! -d /etc/apt ] || [ "$$(id -u)" != 0 ] || \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; } >/dev/null

# A SLURM and a Ray of its own, started and stopped by the tests.
test-cluster: engines   ## sweeps through a real SLURM and a real Ray (about seven minutes)
	$(BIN)/python -m pytest tests/cluster -p no:xdist -rs

engines: .venv/engines
	@command -v slurmctld >/dev/null || PATH="$$PATH:/usr/sbin" command -v slurmctld >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends slurm-wlm munge; } || \
	  echo "WARNING: SLURM is not here and cannot be installed (apt-get install slurm-wlm munge, as root): its tests are SKIPPED."

lint: setup   ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test   ## ruff, mypy, tests

docs: setup   ## docs/ as HTML in docs/_build; a warning is an error, and nothing needs a network
	$(BIN)/python -m sphinx -q -W --keep-going docs docs/_build

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

.venv/engines: .venv/ready
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev,ray,slurm]'
	touch $@

audit:   ## known weaknesses of the pinned versions (needs the network)
	test -d .venv/audit || $(PYTHON) -m venv .venv/audit
	.venv/audit/bin/pip install --quiet pip-audit
	.venv/audit/bin/pip-audit -r constraints.txt --no-deps --disable-pip

clean:   ## remove the environment; results in runs/ stay
	rm -rf .venv
