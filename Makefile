# One door for developers, CI and the curious. `make` alone lists what there is.
#
#   PYTHON=python3.12 make test     another interpreter for .venv (3.11 or newer)
#   PORT=9000 KEEP=1 make demo      another port; leave the service running afterwards
#   PYTEST="-k loss -x" make test   further flags for pytest
#   BENCH="encoder service" make bench   only these of: encoder, training, loader, preparation, bulk,
#                                distributed, service, peers
#   BENCH="--windows 16" make bench-gpu  ten-minute windows in a batch

PYTHON ?= python3
PORT   ?= 8000
KEEP   ?=
PYTEST ?=
BENCH  ?=

BIN       := .venv/bin
INSTALLED := .venv/.installed

export PORT KEEP
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Tests start hundreds of processes; only the first of them should compile what it imports.
unexport PYTHONDONTWRITEBYTECODE
ifeq ($(CI),true)
export NO_COLOR := 1
unexport FORCE_COLOR CLICOLOR_FORCE
PYTEST_COLOR := --color=no
endif

# Tests that need more than Python, or more than a few seconds, run with `make test-all`. Two
# processes of one thread each beat one process of two: small tensors gain nothing from threads.
QUICK   := not slow and not docker and not browser and not postgres and not gpu and not root
PYTESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile $(PYTEST_COLOR)

.DEFAULT_GOAL := help
.PHONY: help demo test test-all bench bench-gpu docs check fix lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## simulate recordings, pretrain over HTTP, embed ten minutes (PORT, KEEP=1)
	@$(BIN)/python scripts/demo.py

test: check ## format, lint, types, import rules and the quick tests
	@$(PYTESTS) -m "$(QUICK)" $(PYTEST)

test-all: check ## the same with every test that this machine can run
	@$(PYTESTS) $(PYTEST)

bench: $(INSTALLED) ## how fast it is, beside its floors and its peers, in one table (BENCH)
	@OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m benchmarks $(BENCH)

# With any Python that has PyTorch and the library's needs: PYTHON=python3 make bench-gpu
bench-gpu: ## the encoder and its training on a GPU, against what the GPU can do at all (BENCH, PYTHON)
	@$(PYTHON) -m benchmarks.gpu $(BENCH)

docs: $(INSTALLED) ## the documents as a site in build/site, with references made from the code
	@$(BIN)/python scripts/write_references.py && $(BIN)/zensical build --clean --strict

# One line for a check that passes; all it had to say for one that does not.
define run_check
@said=$$($(2) 2>&1) && echo "  ok  $(1)" || { echo "$$said"; echo "  FAILED  $(1): $(2)"; exit 1; }
endef

check: $(INSTALLED) ## format, lint, types and import rules
	$(call run_check,format,$(BIN)/ruff format --check .)
	$(call run_check,lint,$(BIN)/ruff check .)
	$(call run_check,types,$(BIN)/basedpyright)
	$(call run_check,imports,$(BIN)/lint-imports)

fix: $(INSTALLED) ## format, and mend what the linter can mend
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --fix .

# The local part of a version (+cpu) and the CUDA libraries, which torch pins itself, stay out.
lock: $(INSTALLED) ## pin what .venv holds now in constraints.txt
	@{ echo "# Exact versions for make, CI and the image, written by 'make lock'; ranges: pyproject.toml."; \
	   $(BIN)/pip freeze --exclude-editable | sed -E 's/\+[a-z0-9.]+$$//' \
	     | grep -vE '^(nvidia|cuda|triton|-e )|^ppgssl|^# | @ '; } > constraints.txt.new
	@mv constraints.txt.new constraints.txt

clean: ## remove .venv, caches and what the demo wrote
	@rm -rf .venv demo build .cache docs/reference/command-line.md docs/reference/http.md .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "ppgssl needs Python 3.11 or newer, which '$(PYTHON)' is not." \
	       "Name another one: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Installing into .venv (a minute or more; only when dependencies change)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --no-compile -c constraints.txt -e '.[dev]'
	@touch $@
