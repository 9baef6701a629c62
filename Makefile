# make demo   sets up and trains on the drawn set; make test   sets up, then lint, types, imports and tests.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test test-long clean

demo: $(INSTALLED)
	$(BIN)/fireweed train --data drawn --recipe demo

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not long"

test-long: $(INSTALLED)
	$(BIN)/python -m pytest -m long

$(INSTALLED): pyproject.toml constraints.txt setup.py src/fireweed/kernels/kernels.c
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,jax]'
	touch $(INSTALLED)

clean:
	rm -rf .venv runs build dist
