# The two commands of a newcomer: `make demo` and `make test`. Each does all the set-up it needs.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
# For example PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu" takes the CPU build of torch.
PIP_ARGS ?=
# More threads than free cores make small models slower, and results differ between thread counts.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: setup demo test chaos test-network lint bench bench-gpu clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/tppc demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile

# The tests that kill processes, with many kills and a dump of realistic size: about an hour.
KILLS ?= 50
ENTITIES ?= 200000
chaos: setup
	TPPC_CHAOS_KILLS=$(KILLS) TPPC_CHAOS_ENTITIES=$(ENTITIES) $(BIN)/python -m pytest -m chaos --timeout=7200 -v

# Asks the true upstream for one small file of each source.
test-network: setup
	$(BIN)/python -m pytest tests/integration/test_network.py -rs

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	$(BIN)/python benchmarks/run_all.py

# Pairs a second, MFU and the three largest costs on a GPU: make bench-gpu CORPUS=corpora/tatoeba/en-hi
CORPUS ?= corpora/tatoeba/en-hi
bench-gpu: setup
	$(BIN)/python benchmarks/train_gpu.py --corpus $(CORPUS)
	$(BIN)/python benchmarks/train_gpu.py --corpus $(CORPUS) --compile

clean:
	rm -rf $(VENV) demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
