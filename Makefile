# Every target sets up what it needs: its own .venv, made once, remade when pyproject.toml or constraints.txt change.
# Needs only Python 3.11 (with venv) and make. `make PYTHON=/path/to/python3.11 ...` names an interpreter.

VENV := .venv
PY   := $(VENV)/bin/python
PIP  := $(PY) -m pip --disable-pip-version-check install -qq --progress-bar off -c constraints.txt
PINS := pyproject.toml constraints.txt
CORE := $(VENV)/.core-installed
DEV  := $(VENV)/.dev-installed

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help drive test check docs docs-pages coverage bench clean

help:  ## Say what the targets do
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 19

drive: $(CORE)  ## Train a driver from camera images (about a minute), then film it: drive.mp4
	$(VENV)/bin/drive-rl train quickstart --no-film
	$(VENV)/bin/drive-rl render runs/quickstart --split test --episodes 2 --out drive.mp4 --overwrite

test: $(DEV)  ## Run the tests
	$(PY) -m pytest

check: $(DEV)  ## Lint, format, types, the floors, and the manual
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/pyright --pythonpath $(PY)
	$(VENV)/bin/lint-imports
	$(VENV)/bin/zensical build --strict --clean

docs: $(DEV)  ## Serve the manual on http://localhost:8000
	$(VENV)/bin/zensical serve

docs-pages: $(DEV)  ## Write the pages of the manual that are read off the package
	$(PY) docs/generate

coverage: $(DEV)  ## Run the tests and report which lines they reach
	$(PY) -m pytest --cov=drive_rl --cov-report=term:skip-covered --cov-report=html

bench: $(CORE)  ## Measure again every number the README quotes: benchmarks/results/*.json
	$(PY) benchmarks/all.py

clean:  ## Remove the venv, caches and build outputs; runs/ stays
	rm -rf $(VENV) .bench-venv build dist site .cache htmlcov .coverage .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -not -path './runs/*' -prune -exec rm -rf {} +

$(CORE): $(PINS) $(PY)
	@echo "Installing drive-rl into $(VENV) (once; about a minute, longer on a slow network) ..."
	@$(PIP) -e .
	@touch $@

$(DEV): $(PINS) $(PY)
	@echo "Installing drive-rl and its developer tools into $(VENV) (once; about a minute, longer on a slow network) ..."
	@$(PIP) -e ".[dev]"
	@touch $(CORE) $@

# The first of the candidates that is a Python 3.11; PYTHON=... leaves one candidate.
$(PY):
	@for python in $(or $(PYTHON),python3.11 python3 python); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
	    "$$python" -m venv --clear $(VENV) && exit 0; \
	    rm -rf $(VENV); \
	    echo "drive-rl: $$python could not make a venv. On Debian or Ubuntu: apt-get install python3.11-venv" >&2; \
	    exit 2; \
	  fi; \
	done; \
	echo "drive-rl: no Python 3.11 found (looked for: $(or $(PYTHON),python3.11, python3, python))." >&2; \
	echo "  PyBullet has wheels for Python 3.11 and older, so 3.11 is what drive-rl needs. To get it:" >&2; \
	echo "    conda env create -f environment.yml    (then see README.md), or" >&2; \
	echo "    apt-get install python3.11 python3.11-venv, or pyenv install 3.11, or https://www.python.org/downloads/" >&2; \
	echo "  Already installed elsewhere? make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
	exit 2
