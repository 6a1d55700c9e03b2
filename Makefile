# Everything here needs python3 (3.11 or later) and make, and nothing else. Each target makes the virtual environment
# it runs in, and installs into it again only when pyproject.toml has changed.
#
#   make demo    a person connects a bank, and one sync: watch it, it ends  (.venv-demo)
#   make serve   all of it stays up, to click through and for your own curl (.venv-demo)
#   make test    the tests; ARGS="-k import -x" reaches pytest              (.venv)
#   make soak    the tests with the big numbers: an hour or so              (.venv)
#   make lint    ruff, mypy, import-linter                                  (.venv)
#   make docs    the documentation as a site, in build/site                 (.venv)
#   make api-check REF=v0.1.0   what has changed of the Python surface since then (.venv)

PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
ARGS ?=

.PHONY: demo serve test soak lint docs api-check clean
.DEFAULT_GOAL := demo

demo: $(DEMO_VENV)/.installed
	@$(DEMO_VENV)/bin/python examples/demo.py $(ARGS)

serve: $(DEMO_VENV)/.installed
	@$(DEMO_VENV)/bin/bankimport up $(ARGS)

# Where Python may write no bytecode, each process of a test would compile all of src, and each of pytest's all tests.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.installed
	$(VENV)/bin/python -m pytest -n 3 --dist worksteal $(ARGS)

soak: $(VENV)/.installed
	BANKIMPORT_SOAK=1 $(VENV)/bin/python -m pytest --timeout=7200 $(ARGS)
	$(VENV)/bin/python -m tests.simulation.mutations
	$(VENV)/bin/python -m tests.queue.mutations

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

docs: $(VENV)/.installed
	$(VENV)/bin/python docs/build.py

REF ?= origin/main
api-check: $(VENV)/.installed
	$(VENV)/bin/griffe check bankimport --search src --against $(REF)

clean:
	rm -rf $(VENV) $(DEMO_VENV) build

$(DEMO_VENV)/.installed: pyproject.toml
	$(call make_venv,$(DEMO_VENV))
	@$(DEMO_VENV)/bin/python -m pip install --quiet --editable '.[sql,embedded,cli,metrics,dashboard]'
	@touch $@

$(VENV)/.installed: pyproject.toml
	$(call make_venv,$(VENV))
	@$(VENV)/bin/python -m pip install --quiet --editable '.[sql,postgres,embedded,cli,metrics,dashboard,enable-banking,gocardless,uvloop]' --group dev
	@touch $@

# pip learned --group in 25.1; the one that comes with Python 3.11 is older.
define make_venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "bankimport needs Python 3.11 or later, and $(PYTHON) is `$(PYTHON) --version 2>&1`: make PYTHON=/path/to/python3.12 …" >&2; exit 1; }
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1) \
		|| { rm -rf $(1); echo "$(PYTHON) can't make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing into $(1); this takes a minute the first time."
	@$(1)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
endef
