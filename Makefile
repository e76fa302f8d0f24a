# Each target sets up what it needs into .venv (see scripts/setup); all it asks of the machine is a Python >= 3.12.
BIN := .venv/bin
# Empty is unset: hundreds of processes that tests begin would each compile everything that they import.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo test test-fast lint docs bench explore programs
help:
	@echo 'make demo [ARGS="--orders 500 --kills 20 --record postgres"]   orders, killed workers, and the books'
	@echo 'make test [ARGS="tests/test_project.py"]                       lint, types, imports, then every test'
	@echo 'make test-fast                                                 a part of the tests, in under a minute'
	@echo 'make lint                                                      the first three alone'
	@echo 'make explore [ARGS="--seconds 600 --write"]                    our own workflows, broken at every point'
	@echo 'make programs [SEED=7 ARGS="--seconds 600"]                      programs that are made up, for two minutes'
	@echo 'make docs                                                      docs/_build/html/index.html'
	@echo 'make bench [OF=ledger] [ARGS="..."]                            side by side with the alternatives'

setup:
	@scripts/setup

demo: setup
	@$(BIN)/recordfirst demo $(ARGS)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache  # a cache outlives a renamed module, and then accuses the innocent

test: lint
	$(BIN)/pytest -n auto $(ARGS)

# What tells most in under a minute: the rules of the text, decisions, values, writes, stops, the suites of records. Without what
# begins processes, and without the mutants of the decision table.
FAST := tests/test_project.py tests/core tests/writes tests/stops/test_stops.py tests/worker/test_dispatching.py tests/records/test_conformance.py
test-fast: setup
	$(BIN)/pytest -n auto -k "not process and not bug_is_found and not walks and not at_once" $(FAST) $(ARGS)

docs: setup
	$(BIN)/sphinx-build -W --keep-going -q docs docs/_build/html
	@echo docs/_build/html/index.html

explore: setup
	PYTHONHASHSEED=0 $(BIN)/python -m tests.explore.figures $(ARGS)

# Programs that nobody wrote, by the seed of the day; a failure is printed with the command that runs it again.
programs: setup
	PYTHONHASHSEED=0 $(BIN)/recordfirst explore --programs --seed $(or $(SEED),$(shell date -u +%Y%m%d)) $(or $(ARGS),--seconds 100)

bench:
	@scripts/setup bench
	$(BIN)/python -m benchmarks.$(or $(OF),orders) $(ARGS)
