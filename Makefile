.DEFAULT_GOAL := help
.PHONY: help run cluster test quick check format soak bench build clean

BIN := .venv/bin
# Half of the tests wait for something; files stay whole, because their tests share servers.
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder
# Whatever of these exists is checked.
PYTHON_CODE := $(wildcard src tests examples benchmarks)

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

run: ## set everything up and serve the game at http://127.0.0.1:8000
	@tools/environment run
	@trap : INT; $(BIN)/starwire play || { code=$$?; [ $$code -eq 130 ] || exit $$code; }

cluster: ## set everything up and serve the game from eight servers, PostgreSQL and Valkey included
	@tools/environment cluster
	@trap : INT; $(BIN)/starwire cluster || { code=$$?; [ $$code -eq 130 ] || exit $$code; }

test: ## set everything up and run every test, a real browser included
	@tools/environment dev
	@tools/browser
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

quick: ## the tests without browser, crashes and services, in about two minutes
	@tools/environment dev
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "not soak and not browser and not crash and not cluster and not peer" $(ARGS)

check: ## format, lint, strict types, import rules, documented-ness
	@tools/environment dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(PYTHON_CODE)
	$(BIN)/lint-imports --no-logo

format: ## format the code and mend what the linter can mend by itself
	@tools/environment dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

soak: ## the long campaigns of crashes (STARWIRE_SEED repeats one)
	@tools/environment dev
	$(BIN)/python -m pytest -m soak --timeout 3600 $(ARGS)

bench: ## the benchmarks, with the sketch beside ours, as a table (ARGS=--long, ARGS=--save)
	@tools/environment bench
	$(BIN)/python -m benchmarks.run $(ARGS)

build: ## make the wheel and the source distribution in dist/
	@tools/environment dev
	rm -rf dist
	$(BIN)/python -m build

clean: ## remove what was made here: environment, builds, caches (never the game's data)
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
