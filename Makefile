# make demo   sets up and trains on the drawn set; make test   sets up, then lint, types, imports and tests;
# make labs   makes the notebooks of labs/ from their texts (REPOSITORY=OWNER/fireweed: says where they are published);
# make docs   makes the documentation site in build/site, with the labs as run (LABS=whole: all of them, not their short
#             form; LABS=none: without their outputs; REPOSITORY as above: links to files lead there);
# make bench-peers PHOTOS=FOLDER   measures Fireweed beside its peers (half an hour) and writes docs/speed.md.
PYTHON ?= python3
BIN := .venv/bin
PHOTOS ?= flower_photos
ROUNDS ?= 3
INSTALLED := .venv/.installed

.PHONY: demo test checked tested test-long labs docs bench-peers clean

demo: $(INSTALLED)
	$(BIN)/fireweed train --data drawn --recipe demo

test: $(INSTALLED)
	$(MAKE) --no-print-directory --jobs 2 checked tested

checked: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

tested: $(INSTALLED)
	$(BIN)/python -m pytest -m "not long" -n 2 --dist loadfile --no-loadscope-reorder

test-long: $(INSTALLED)
	$(BIN)/python -m pytest -m long

labs: $(INSTALLED)
	$(BIN)/python labs/make_notebooks.py $(if $(REPOSITORY),--repository $(REPOSITORY))

docs: $(INSTALLED)
	$(BIN)/python docs/site/make_site.py $(if $(LABS),--labs $(LABS)) $(if $(REPOSITORY),--repository $(REPOSITORY))

bench-peers: $(INSTALLED) .venv-peers/.installed
	$(BIN)/python benchmarks/bench_peers.py $(PHOTOS) --rounds $(ROUNDS)
	$(BIN)/python benchmarks/write_speed_docs.py
	$(BIN)/python benchmarks/fill_figures.py

.venv-peers/.installed: benchmarks/peers/requirements.txt benchmarks/peers/constraints.txt constraints.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --requirement benchmarks/peers/requirements.txt
	touch $@

$(INSTALLED): pyproject.toml constraints.txt setup.py $(wildcard src/fireweed/kernels/*.[ch])
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,jax]'
	touch $(INSTALLED)

clean:
	rm -rf .venv .venv-peers .bench-peers runs build dist src/fireweed/kernels/*.so
