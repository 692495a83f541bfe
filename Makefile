# Blue Lamp. `make demo` plays a shift, `make test` runs the tests; both set everything up first.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test foreign accept bench bench-latency bench-throughput bench-ledger bench-detect corpus torture lint format lock clean

help:
	@echo "make demo    a homeserver, six officers, a supervisor and the bot play a shift"
	@echo "             (ARGS=\"--once\" ends afterwards, ARGS=\"--dir DIR\" keeps everything in DIR)"
	@echo "make test    the tests, on a real homeserver (under ten minutes)"
	@echo "make foreign install the encrypted client of another SDK, for the tests that need it"
	@echo "make accept  the longer acceptance tests"
	@echo "make bench   speed beside a minimal bot, into benchmarks/results (four minutes)"
	@echo "make corpus  what can be wrong with the labelled messages (ARGS=--renew counts them anew)"
	@echo "make torture hundreds of messages and kills, mutated input at length (half an hour)"
	@echo "make lint    ruff and mypy"
	@echo "make clean   remove what was set up"

demo: $(VENV)/ready
	@$(BIN)/bluelamp demo $(ARGS)

test: $(VENV)/ready
	@$(BIN)/python -m pytest -m "not slow and not torture" $(ARGS)

foreign: tests/foreign/node_modules/.package-lock.json

tests/foreign/node_modules/.package-lock.json: tests/foreign/package-lock.json $(VENV)/ready
	@$(BIN)/npm ci --prefix tests/foreign
	@touch $@

bench: bench-latency bench-throughput bench-ledger bench-detect

bench-latency: $(VENV)/ready
	@$(BIN)/python -m benchmarks.latency $(ARGS)

bench-throughput: $(VENV)/ready
	@$(BIN)/python -m benchmarks.throughput $(ARGS)

bench-ledger: $(VENV)/ready
	@$(BIN)/python -m benchmarks.ledger $(ARGS)

bench-detect: $(VENV)/ready
	@$(BIN)/python -m benchmarks.detect $(ARGS)

corpus: $(VENV)/ready
	@$(BIN)/python -m corpus.check $(ARGS)

torture: $(VENV)/ready
	@$(BIN)/python -m pytest -m torture $(ARGS)

accept: $(VENV)/ready
	@$(BIN)/python -m pytest -m slow $(ARGS)

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
	@$(BIN)/python -m pip install --disable-pip-version-check -q --no-build-isolation --no-deps -e .
	@touch $@
	@echo "Set up."

lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --extra demo --extra test --extra build -q -o requirements-dev.txt pyproject.toml
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  -q -o requirements.txt pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
