# Esteira: `make` lists what there is to run.
.DEFAULT_GOAL := help
.PHONY: help run demo test faults prove long bench pictures lint lock clean

# Variables that would make our Python another one. What another project's shell says about databases and
# settings reaches neither `make test` nor `make demo`: neither reads it.
unexport PYTHONPATH PYTHONHOME PYTHONOPTIMIZE PYTHONWARNINGS PYTHONSTARTUP PYTHONINSPECT
unexport DJANGO_SETTINGS_MODULE PYTEST_ADDOPTS PYTEST_PLUGINS VIRTUAL_ENV COVERAGE_PROCESS_START
# The suite starts hundreds of processes; without kept bytecode each of them compiles the project anew.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONUNBUFFERED := 1

PORT ?= 8000
ARGS ?=
PY := .venv/bin/python

help:  ## List these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null || grep '## ' Makefile

run:  ## Start the site and the workers, with demo data on the first start (PORT=8000)
	@.ci/setup requirements.txt
	@$(PY) -m config.dev.run --port '$(PORT)'

demo:  ## Play the whole flow unattended and print the history
	@.ci/setup requirements.txt
	@$(PY) -m config.dev.demo

test:  ## Run the test suite (ARGS='-k name')
	@.ci/setup requirements-dev.txt
	@$(PY) -m pytest -n auto -m 'not slow' $(ARGS)

faults:  ## Kill workers, databases and connections on purpose, and check that no job is lost (minutes)
	@.ci/setup requirements-dev.txt
	@$(PY) -m pytest -s tests/faults $(ARGS)

prove:  ## Kill workers, keeper and store for a minute, and read the ledger (ARGS='--on redis'; ARGS=--help says more)
	@.ci/setup requirements-dev.txt
	@DJANGO_SETTINGS_MODULE=config.settings.test $(PY) -m tests.faults.prove $(ARGS)

long:  ## Run the longest variants, which `make test` and the gate leave out (ARGS='-k name')
	@.ci/setup requirements-dev.txt
	@$(PY) -m pytest -m long $(ARGS)

bench:  ## Measure this project beside other job systems (ARGS='--quick'; ARGS=--help says more)
	@.ci/setup requirements-dev.txt
	@$(PY) -m bench.peers $(ARGS)

pictures:  ## Take the pictures of docs/images anew (needs Chromium)
	@.ci/setup requirements-dev.txt
	@$(PY) -m tests.browser.pictures $(ARGS)

lint:  ## Check style, types and imports
	@.ci/setup requirements-dev.txt
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-logo
	$(PY) -m djlint --lint --quiet jobs leads notifications emails accounts admin_lists

lock:  ## Update the pinned versions of the dependencies (needs the package index)
	@.ci/lock

clean:  ## Remove the environment and caches; the data in var/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
