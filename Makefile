# Esteira: `make` lists what there is to run.
.DEFAULT_GOAL := help
.PHONY: help run demo test faults lint lock clean

# Variables that would make our Python another one. What another project's shell says about databases and
# settings reaches neither `make test` nor `make demo`: neither reads it.
unexport PYTHONPATH PYTHONHOME PYTHONOPTIMIZE PYTHONWARNINGS PYTHONSTARTUP PYTHONINSPECT
unexport DJANGO_SETTINGS_MODULE PYTEST_ADDOPTS PYTEST_PLUGINS VIRTUAL_ENV COVERAGE_PROCESS_START
export PYTHONUNBUFFERED := 1

PORT ?= 8000
ARGS ?=
PY := .venv/bin/python

help:  ## List these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null || grep '## ' Makefile

run:  ## Start web and workers here, with demo data on the first start (PORT=8000)
	@.ci/setup requirements.txt
	@$(PY) -m config.dev.run --port '$(PORT)'

demo:  ## Prove the whole flow without a person: leads in, jobs done, history shown
	@.ci/setup requirements.txt
	@$(PY) -m config.dev.demo

test:  ## Run the test suite (ARGS='-k name')
	@.ci/setup requirements-dev.txt
	@$(PY) -m pytest -m 'not slow' $(ARGS)

faults:  ## Kill, stop and cut things for minutes, and see that the ledger balances
	@.ci/setup requirements-dev.txt
	@$(PY) -m pytest -s tests/faults $(ARGS)

lint:  ## Check style, types and the walls between the rooms
	@.ci/setup requirements-dev.txt
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-logo
	$(PY) -m djlint --lint --quiet jobs leads notifications emails admin_lists

lock:  ## Choose the dependencies' versions anew (needs the package index)
	@.ci/lock

clean:  ## Remove the environment and caches; var/ (the data) stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
