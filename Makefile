# gardien: everything a person or a CI does with this repository. `make` alone explains.
# The work is done by the small programs in scripts/; this file only says what needs what.

.DEFAULT_GOAL := help
.PHONY: help demo test check bench torture format lock clean FORCE
MAKEFLAGS += --no-print-directory

export PYTHON ?= python3
BIN := .venv/bin

# Options of the demo count only when they are typed after `make`: LANGUAGE, above all, is often set in the environment.
typed = $(if $(findstring command line,$(origin $1)),$($1))

# An environment that was made elsewhere (a copied or renamed folder) is made again.
MOVED := $(if $(filter-out $(CURDIR),$(shell cat .venv/home 2>/dev/null)),FORCE)

help: ## what you are reading
	@scripts/help

demo: .venv/run.stamp ## a whole site on this machine, an evening in fast motion; Ctrl-C ends it
	@exec scripts/demo "$(call typed,DAY)" "$(call typed,EXIT)" "$(call typed,PORT)" "$(call typed,LANGUAGE)" $(ARGS)

test: .venv/dev.stamp ## all checks and all tests; installs missing Debian packages when it may
	@exec scripts/test $(ARGS)

check: .venv/dev.stamp ## lint, format, types, direction of imports: no test is run
	@exec scripts/check

bench: .venv/dev.stamp ## measure everything, into docs/figures; ARGS="--quick" only shows that it runs
	@exec scripts/bench $(ARGS)

torture: .venv/dev.stamp ## kill, starve and unplug the programs, for hours; COUNT=20 for less
	@exec scripts/torture "$(call typed,COUNT)" "$(call typed,SEED)" $(ARGS)

format: .venv/dev.stamp ## let ruff mend and format the code
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

lock: ## pin every dependency again, with hashes (needs uv; UPGRADE=1 takes newer versions)
	@exec scripts/lock "$(call typed,UPGRADE)"

clean: ## remove the virtual environment and every cache; keeps your data
	@rm -rf .venv build dist tests/out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage *.egg-info
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

.venv/run.stamp: requirements.lock requirements-build.lock requirements-mfrc522.lock pyproject.toml scripts/setup $(MOVED)
	@exec scripts/setup run

.venv/dev.stamp: requirements-dev.lock .venv/run.stamp
	@exec scripts/setup dev

FORCE:
