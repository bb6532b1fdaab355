# Two commands matter: `make demo` and `make test`. Both need Python 3.10 or later and make, nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMONSTRATED := . plugins/algo_run plugins/algo_data plugins/algo_env plugins/algo_manage plugins/algo_local
DEVELOPED := $(DEMONSTRATED) plugins/algo_connectors plugins/algo_plugins
DISTRIBUTIONS := $(DEVELOPED) plugins/algo_ray
PIP := $(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt
EDITABLE = $(PIP) --no-build-isolation $(foreach part,$(1),--editable $(part))
USABLE := $(VENV)/.usable
READY := $(VENV)/.ready
CLUSTER := $(VENV)/cluster
TESTED_WITH := bash zsh fish bwrap git npm
SUDO = $(if $(filter-out 0,$(shell id -u)),sudo)
PARALLEL := --numprocesses auto --maxprocesses 8 --dist worksteal --reruns 1
INPUTS := pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml)

.PHONY: help setup setup-cluster demo test test-cluster test-deps lint format docs changelog wheels clean benchmarks benchmarks-transfer
.PHONY: benchmarks-connectors benchmarks-calls benchmarks-development benchmarks-environments benchmarks-observers
.PHONY: benchmark-deps benchmarks-serve benchmarks-capacity benchmarks-cluster endurance kills kills-cluster kills-front-ends

help: ## Show what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 24

setup: $(READY) ## Make the project's own environment in .venv

$(USABLE): $(INPUTS)
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "Python 3.10 or later is needed: make PYTHON=python3.12 ...")'
	@echo '== Making the environment .venv'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) --group build
	@echo '== Installing algo and the standard plugins'
	$(call EDITABLE,$(DEMONSTRATED))
	@touch $@

$(READY): $(USABLE)
	@echo '== Installing what development needs: tests, linters, connectors'
	$(PIP) --group dev
	$(call EDITABLE,$(DEVELOPED))
	@touch $@

$(CLUSTER)/.ready: $(READY)
	@echo '== Making an environment with Ray, on top of that'
	$(BIN)/python -m venv --without-pip $(CLUSTER)
	$(CLUSTER)/bin/python -c "import sys, sysconfig; print('import site; site.addsitedir(%r)' % sys.argv[1], \
	file=open(sysconfig.get_path('purelib') + '/below.pth', 'w'))" \
	"$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
	$(subst -m pip install,-m pip --python $(CLUSTER)/bin/python install,$(PIP)) --group cluster
	$(subst -m pip install,-m pip --python $(CLUSTER)/bin/python install,$(PIP)) --no-deps --no-build-isolation \
	--editable . --editable plugins/algo_ray
	@touch $@

demo: $(USABLE) ## The guide, from auth to the picture with the face marked, on the embedded platform
	$(BIN)/python examples/demo.py

test: $(READY) ## Run every test, on all processors; TESTS=tests/algo_core runs some, one after the other
	$(BIN)/python -m pytest $(or $(TESTS),$(PARALLEL))

setup-cluster: $(CLUSTER)/.ready ## Make the environment with Ray in .venv/cluster

test-cluster: $(CLUSTER)/.ready ## Run the tests of algo-ray on a Ray cluster of three nodes, on this machine
	$(CLUSTER)/bin/python -m pytest --reruns 1 -raR tests/algo_ray

kills: $(READY) ## Kill publications, builds and migrations fifty times, or as often as KILLS says, and see what is left
	$(BIN)/python -m pytest tests/algo_local/algorithms/test_kills.py tests/algo_local/backups/test_migrate.py --kills $(or $(KILLS),50)

kills-cluster: $(CLUSTER)/.ready ## Kill nodes, front ends, engines, PostgreSQL, an object store 200 times, or KILLS, under 40 clients
	$(CLUSTER)/bin/python -m pytest -s tests/algo_ray/test_cluster_kills.py --cluster-kills $(or $(KILLS),200)

kills-front-ends: $(READY) ## The same without Ray: machines that share PostgreSQL and an object store, and processes of one
	$(BIN)/python -m pytest -s tests/algo_local/serving/test_cluster_kills.py --cluster-kills $(or $(KILLS),200)

test-deps: ## Install what tests need beyond PyPI: shells, Node.js, R, bubblewrap and git, from Debian; Azurite and a client, from npm
	@for program in $(TESTED_WITH); do command -v $$program >/dev/null || missing="$$missing $$program"; done; \
	missing=$$(echo "$$missing" | sed s/bwrap/bubblewrap/); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	command -v apt-get >/dev/null || { echo "There is no apt-get here: install $$missing" >&2; exit 1; }; \
	$(SUDO) apt-get update --quiet --quiet && $(SUDO) apt-get install --yes --quiet $$missing
	@command -v Rscript >/dev/null && test -d "$$(Rscript --vanilla -e 'cat(system.file(package = "jsonlite"))')" || \
	{ $(SUDO) apt-get update --quiet --quiet && \
	$(SUDO) apt-get install --yes --quiet --no-install-recommends r-base-core r-cran-jsonlite; }
	npm install --no-save --no-audit --no-fund --silent azurite@3.35.0 algorithmia@0.3.10

lint: $(READY) ## Check style, types and which part may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(READY) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## Write what pages take from the code anew
	$(BIN)/python docs/render.py

benchmarks: $(READY) ## Measure start-up against python, click and the older command line
	$(BIN)/python benchmarks/startup.py

benchmarks-transfer: $(READY) ## Measure moving data against curl, rclone and the older command line (an hour)
	$(BIN)/python benchmarks/transfer.py

benchmarks-connectors: $(READY) ## Measure files to and from S3 against s5cmd, rclone and the AWS CLI
	$(BIN)/python benchmarks/connectors.py

benchmarks-calls: $(READY) ## Measure calls: the record, concurrency, fairness, order, other servers, processor time, many from one command
	$(BIN)/python benchmarks/calls.py

benchmarks-capacity: $(CLUSTER)/.ready ## Measure what each layer costs a call, and simulate deployments of up to a thousand nodes with that
	PATH="$(abspath $(BIN)):$$PATH" $(CLUSTER)/bin/python benchmarks/capacity.py --measure

benchmarks-cluster: $(CLUSTER)/.ready ## Measure Ray, several front ends and a million records, or FIGURES=nodes (12 minutes)
	$(CLUSTER)/bin/python benchmarks/cluster.py $(FIGURES)

benchmarks-observers: $(READY) ## Measure what an observer adds to the copy of each of 10,000 small files
	$(BIN)/python benchmarks/observers.py

benchmarks-development: $(READY) ## Measure an edit to its answer with algo local dev
	$(BIN)/python benchmarks/development.py

benchmarks-environments: $(READY) ## Measure the first publish of an algorithm that requires numpy, by uv and by pip
	$(BIN)/python benchmarks/environments.py

benchmarks-serve: $(READY) ## Measure the served platform against nginx and Starlette (BASELINE=CHECKOUT: an older state)
	$(BIN)/python benchmarks/serve.py $(if $(BASELINE),--baseline $(BASELINE))

endurance: $(READY) ## Call INPUTS=1000000 inputs while the client is killed 50 times and the platform 10 times
	$(BIN)/python benchmarks/endurance.py --inputs $(or $(INPUTS),1000000)

benchmark-deps: ## Install what benchmarks-transfer and benchmarks-serve need beyond PyPI, from Debian: nginx and curl
	@command -v apt-get >/dev/null || { echo 'There is no apt-get here: install nginx, its module dav-ext, and curl' >&2; exit 1; }
	$(SUDO) apt-get install --yes nginx libnginx-mod-http-dav-ext curl

changelog: $(READY) ## Move the fragments of news/ into CHANGELOG.md, for VERSION=X.Y.Z
	$(BIN)/towncrier build --yes --version $(or $(VERSION),$(error name the release: make changelog VERSION=X.Y.Z))

wheels: $(READY) ## Build every distribution into dist/
	rm -rf dist
	for part in $(DISTRIBUTIONS); do $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist $$part || exit 1; done

clean: ## Remove what was built, the environment included
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
