# Two commands for a fresh Debian 12, as root, with nothing but git, make and bash:
#
#   make zdtm    set everything up, then checkpoint and restore every test program
#   make test    set everything up, then run all tests (ends with pytest's summary line)
#
# `make setup` does the set-up alone. Each step leaves a stamp, so that doing it again takes no time.
# PYTHON=/path/to/python3 chooses another interpreter (3.11 or newer) for a new virtual environment.

VENV := .venv
PY := $(VENV)/bin/python
STAMPS := $(VENV)/stamps
JOBS ?= 2

.PHONY: setup system zdtm test unit lint format docs clean
.DELETE_ON_ERROR:

setup: $(STAMPS)/bytecode

# Asked every time (a few milliseconds), so that a package removed later is found missing; no reason to rebuild.
system:
	@ci/install-packages

$(STAMPS)/venv: ci/make-venv | system
	ci/make-venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/python: pyproject.toml ci/make-launcher $(STAMPS)/venv
	$(PY) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore 'setuptools>=77'
	$(PY) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
	    --no-build-isolation --config-settings editable_mode=compat --editable '.[dev]'
	ci/make-launcher $(VENV)
	@touch $@

$(STAMPS)/images: $(wildcard engine/images/*.py engine/images/proto/*.proto) $(STAMPS)/python
	$(PY) -m engine.images.build
	@touch $@

$(STAMPS)/native: $(wildcard native/*) $(STAMPS)/python
	$(PY) -m native.build
	@touch $@

# Compiled ahead, so that the first start is as fast as the others, also where nobody may write byte code.
$(STAMPS)/bytecode: $(shell find engine zdtm -name '*.py') $(STAMPS)/images $(STAMPS)/native
	$(PY) -m compileall -q engine zdtm
	@touch $@

zdtm: setup
	$(VENV)/bin/zdtm run -a -p $(JOBS)

test: setup
	$(PY) -m pytest -n $(JOBS) </dev/null

unit: setup
	$(PY) -m pytest -n $(JOBS) tests/unit </dev/null

lint: setup
	$(PY) -m ruff check .
	$(PY) -m mypy

format: setup
	$(PY) -m ruff format .

docs: setup
	$(PY) -m engine.commandline.document > docs/cli.md
	$(PY) -m zdtm.support > docs/support-matrix.md

clean:
	rm -rf $(VENV) build zdtm/build .pytest_cache .mypy_cache .ruff_cache .hypothesis .tox *.egg-info
	find engine zdtm native tests -name __pycache__ -prune -exec rm -rf {} +
