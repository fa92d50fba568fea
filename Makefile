# LicenseHub. `make` alone lists the targets.
PYTHON ?= python3
BIN := .venv/bin
MANAGE := $(BIN)/python manage.py

.DEFAULT_GOAL := help
.PHONY: help install dev demo tour run test test-sqlite test-postgres chaos benchmark lint format types check ci requirements licenses sbom release vulnerabilities clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install:  ## Make .venv, install the pinned packages, write .env
	@command -v "$(PYTHON)" >/dev/null || { echo "make install: there is no $(PYTHON) here; install Python 3.11, 3.12 or 3.13, or name one: make install PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" licensehub/embedded/install.py

dev: install  ## Add what tests, types and lint need
	@"$(PYTHON)" licensehub/embedded/install.py --dev

demo: $(if $(SSO),dev,install)  ## See the whole job against the sandbox (ONCE=1: drive it and exit; SCENE=frozen-feed; SSO=1: with single sign-on)
	@LICENSEHUB_VAR="$${LICENSEHUB_VAR:-var/demo}" $(MANAGE) demo $(if $(ONCE),--once) $(if $(SCENE),--scene $(SCENE)) $(if $(SSO),--sso)

tour: dev  ## Take the pictures of docs/tour.md again, from the demo
	@$(BIN)/python -m tests.tour

run: install  ## Run web, worker, beat and broker on this machine until Ctrl-C
	@$(MANAGE) run $(if $(WEB_PORT),--port $(WEB_PORT))

# Both databases are asked at the same time. A few tests are quicker without further processes; with all, a process
# that has nothing left takes over tests of the other one.
WORKERS = $(if $(ARGS),0,2 --dist worksteal)
test: dev  ## Run the tests on SQLite and again on PostgreSQL (ARGS="-k words")
	@$(BIN)/python -m tests.support.databases both -- $(BIN)/pytest -n $(WORKERS) $(ARGS)

test-sqlite: dev  ## Run the tests on SQLite only
	@$(BIN)/python -m tests.support.databases sqlite -- $(BIN)/pytest -n $(WORKERS) $(ARGS)

test-postgres: dev  ## Run the tests on PostgreSQL only
	@$(BIN)/python -m tests.support.databases run -- $(BIN)/pytest -n $(WORKERS) $(ARGS)

# The storm needs the machine, and a PostgreSQL of its own that it may crash, to itself; the rest shares both cores.
CHAOS := env -u DATABASE_URL $(BIN)/python -m tests.support.databases
ON_POSTGRES := tests/chaos/test_storm.py tests/chaos/test_soak.py tests/chaos/test_races.py tests/chaos/test_kill_download.py tests/integrations/connections/test_tokens_in_many_processes.py
# The longest first, one at a time: work that is stolen would come after tests that empty the tables.
ON_SQLITE := pace.py state_machine.py bad_responses.py crash.py crash_download.py
chaos: dev  ## Kill, crash, race and lie to it for up to 25 minutes; prints the figures (ARGS="-k words")
	@$(CHAOS) run -- $(BIN)/pytest --timeout 1500 -m chaos $(ON_POSTGRES) $(ARGS)
	@$(CHAOS) sqlite -- $(BIN)/pytest --timeout 1500 -m chaos -n 3 --maxschedchunk 1 $(addprefix tests/chaos/test_,$(ON_SQLITE)) $(ARGS)

lint: dev  ## Lint, format and the arrows between the packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: dev  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: dev  ## Check the types
	$(BIN)/mypy .

check: install  ## Check the settings and the migrations
	$(MANAGE) check --fail-level WARNING
	$(MANAGE) makemigrations --check --dry-run

benchmark: dev  ## Measure speed, memory and history against their limits (ROWS="download pace", WRITE=1)
	@$(BIN)/python -m benchmarks $(ROWS) $(if $(WRITE),--write)

ci:  ## Everything that CI runs
	.ci/run

COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url

requirements: dev  ## Compile the .in files into the .txt files, with hashes (UPGRADE=1: newest versions)
	$(COMPILE) $(if $(UPGRADE),--upgrade) requirements.in --output-file requirements.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) --constraint requirements.txt requirements-dev.in --output-file requirements-dev.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) requirements-audit.in --output-file requirements-audit.txt

licenses: dev  ## Write docs/licenses.md; fails on a license that is not allowed
	@$(BIN)/python -m supply_chain licenses --write

sbom: dev  ## Write var/licensehub.cdx.json: what LicenseHub is built from, as CycloneDX
	@$(BIN)/python -m supply_chain sbom

release: dev  ## Write var/release: the code of the tagged commit, its bill of materials, and their SHA-256
	@$(BIN)/python -m supply_chain release

vulnerabilities: dev  ## Look for known vulnerabilities of the packages (AUDIT_REQUIRED=1: fail if that cannot be done)
	@$(BIN)/python -m supply_chain vulnerabilities

clean:  ## Remove .venv and the caches (.env and var/ stay)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
