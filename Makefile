# `make demo` and `make test` are the two commands of the README. Both install what they need into $(VENV) first,
# once: the second run of either installs nothing and needs no network.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# Every distribution of this repository, in one pip command: the parts require `cortexspec`, which is on no index,
# and constraints/dev.txt holds torch to the version that is tested.
PARTS  := $(patsubst %/pyproject.toml,%,$(wildcard backends/*/pyproject.toml plugins/*/pyproject.toml))
EDIT   := -e '.[dev]' $(addprefix -e ./,$(PARTS))

# Pyright is Node.js inside. Its wheel carries pyright itself, so it needs only a `node`: the system's where there is
# one (no download); where there is none, pyright fetches one. The second variable stops its look-up of new versions.
export PYRIGHT_PYTHON_GLOBAL_NODE ?= 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS ?= 1
# Two test workers, one thread each: more threads than cores only makes them wait for each other.
export OMP_NUM_THREADS ?= 1

.PHONY: install demo test lint clean
install: $(STAMP)

demo: $(STAMP)
	$(BIN)/python demo/run.py

test: lint
	$(BIN)/python -m pytest -n 2

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/pyright --pythonpath $(BIN)/python

$(STAMP): pyproject.toml $(addsuffix /pyproject.toml,$(PARTS)) constraints/dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints/dev.txt $(EDIT)
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
