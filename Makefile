# Needs Python 3.11 or newer, make and a network for the first install; everything else goes into .venv.
#   make demo [SEED=N] [SUMMARY=FILE]                          a simulated week, from mention to page
#   make demo INPUT=FILE [MAP=FILE] [BRANDS=FILE]              your own JSON lines
#   make test                                                  all tests
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
SOURCES := src tests bench tools conftest.py

# The first Python that runs, is new enough, and can make environments.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)

.PHONY: help
help:  ## say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-14s %s\n", $$1, $$2}'

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer with venv is needed (Debian: apt install python3-venv)" >&2; exit 2; }
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.base: $(VENV)/.made requirements.lock pyproject.toml
	@echo "Installing into $(VENV) (a few minutes the first time) ..."
	@$(PIP) install --requirement requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src || true  # pip does it for all but what is editable
	@touch $@

$(VENV)/.dev: $(VENV)/.base requirements-dev.lock
	@$(PIP) install --requirement requirements-dev.lock
	@touch $@

.PHONY: install
install: $(VENV)/.base  ## install into .venv

.PHONY: demo
demo: $(VENV)/.base  ## show all of it: INPUT, MAP, BRANDS, SEED, SUMMARY
	@$(BIN)/monitor demo $(if $(INPUT),--input '$(INPUT)') $(if $(MAP),--map '$(MAP)') \
		$(if $(BRANDS),--brands '$(BRANDS)') $(if $(SEED),--seed '$(SEED)') $(if $(SUMMARY),--summary '$(SUMMARY)')

.PHONY: test
test: $(VENV)/.dev  ## run the tests; ARGS goes to pytest
	@$(BIN)/python -m pytest -q $(ARGS)

# What uses a store or a broker, on another pair of them: STORE=sqlite|postgresql BROKER=embedded|kafka.
.PHONY: test-pair
test-pair: $(VENV)/.dev  ## the tests that use a store or a broker, on STORE and BROKER; ARGS goes to pytest
	@MONITOR_TEST_STORE=$(STORE) MONITOR_TEST_BROKER=$(BROKER) $(BIN)/python -m pytest -q -m "store or broker" $(ARGS)

.PHONY: test-all
test-all: $(VENV)/.dev  ## all tests, on every pair of SQLite or PostgreSQL and embedded broker or Apache Kafka (KAFKA_HOME)
	@test -n "$(KAFKA_HOME)" || { echo "make: set KAFKA_HOME to a Kafka distribution" >&2; exit 2; }
	@$(BIN)/python -m pytest -q $(ARGS)
	@$(MAKE) --no-print-directory test-pair STORE=postgresql BROKER=embedded
	@$(MAKE) --no-print-directory test-pair STORE=sqlite BROKER=kafka
	@$(MAKE) --no-print-directory test-pair STORE=postgresql BROKER=kafka

.PHONY: lint
lint: $(VENV)/.dev  ## check style
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES)

.PHONY: format
format: $(VENV)/.dev  ## mend style
	@$(BIN)/ruff check --quiet --fix $(SOURCES)
	@$(BIN)/ruff format --quiet $(SOURCES)

.PHONY: types
types: $(VENV)/.dev  ## check types
	@$(BIN)/mypy

# In an environment of their own: they want other versions of some packages than the product does.
.venv-checks/.made: $(VENV)/.made tools/checks.txt
	@$(BIN)/python -m venv --clear .venv-checks
	@.venv-checks/bin/python -m pip --disable-pip-version-check -qq install --requirement tools/checks.txt
	@touch $@

.PHONY: checks
checks: .venv-checks/.made  ## install what holds deploy/ and k8s/ against their schemas (500 MB); make test uses it

.PHONY: rules
rules: $(VENV)/.base  ## write the rules for Prometheus anew; RUNBOOKS=URL where docs/runbooks is served
	@$(BIN)/python tools/rules.py $(if $(RUNBOOKS),--runbooks '$(RUNBOOKS)')

.PHONY: dashboards
dashboards: $(VENV)/.dev  ## write the dashboards for Grafana anew
	@$(BIN)/python tools/dashboards.py

.PHONY: image
image: $(VENV)/.made  ## follow deploy/Dockerfile in a clean root, without Docker, and say its size (root, debootstrap)
	@$(BIN)/python tools/image.py

.PHONY: bench
bench: $(VENV)/.dev  ## measure rules, throughput, seconds to a page, delivery under fire, stories, forecasts, the model
	@$(BIN)/python bench/rules.py
	@$(BIN)/python bench/pipeline.py $(ARGS)
	@$(BIN)/python bench/pages.py
	@$(BIN)/python bench/stories.py cost
	@$(BIN)/python bench/spread.py --cost-only
	@$(BIN)/python bench/model.py

.PHONY: bench-pages
bench-pages: $(VENV)/.dev  ## only the delivery: INCIDENTS, SECONDS, KILLS by ARGS
	@$(BIN)/python bench/pages.py $(ARGS)

.PHONY: bench-model
bench-model: $(VENV)/.dev  ## only the model's speed (against torch: the extra `train`)
	@$(BIN)/python bench/model.py $(ARGS)

.PHONY: bench-demo
bench-demo: $(VENV)/.base  ## is the viral story paged in time, over 50 weeks?
	@$(BIN)/python bench/demo.py $(ARGS)

.PHONY: chaos
chaos: $(VENV)/.dev  ## kill everything, many times, with the real model (and on Apache Kafka: KAFKA_HOME)
	@$(BIN)/python bench/chaos.py --all $(ARGS)

.PHONY: lock
lock: $(VENV)/.made  ## write the lock files anew
	@$(BIN)/python tools/lock.py

.PHONY: clean
clean:  ## take away what was installed and what the demo left
	@rm -rf $(VENV) .venv-checks demo-data .mypy_cache .ruff_cache .pytest_cache .hypothesis
