# tinyfleet: `make demo` does the main job live, `make test` runs every test. Both set up what they need.
PYTHON ?= python3
VENV := .venv/bin
# Debian keeps daemons in /usr/sbin, which is not on every user's PATH.
export PATH := $(PATH):/usr/sbin:/sbin

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format bench bench-update bench-runtime bench-node bench-console bench-agent fuzz soak clean

help: ## what there is to type
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: ## install what is missing, make .venv, build the firmware
	@$(PYTHON) deploy/setup

demo: setup ## a model reaches emulated nodes over MQTT, runs, and its results reach Prometheus (ONCE=1: check each step and exit)
	@$(VENV)/python -m examples.demo $(if $(ONCE),--once)

test: setup ## every test
	@$(VENV)/python -m pytest -n 2 --dist loadfile

check: setup ## style, types, doors, generated files
	@$(VENV)/python .ci/check.py

format: setup ## put Python and C into the house's style
	@$(VENV)/python .ci/check.py --format

bench: bench-update bench-runtime bench-node bench-console bench-agent ## every benchmark

bench-update: setup ## an update of 100 KB: time and bytes on the node
	@$(VENV)/python -m tests.bench.update

bench-runtime: setup ## inference on emulated cores: instructions, arena, code size
	@$(VENV)/python -m tests.bench.runtime

bench-node: setup ## the node: size by part, start, idling, bytes on air, power cuts
	@$(VENV)/python -m tests.bench.node

bench-console: setup ## inputs over a serial line: framed and MLPerf's
	@$(VENV)/python -m tests.bench.console

bench-agent: setup ## the agent: programming boards, consoles, power
	@$(VENV)/python -m tests.bench.agent

fuzz: ## search for inputs that break loader and runner of plans (FUZZ_SECONDS=600 FUZZ="plan …"); installs clang
	@$(PYTHON) deploy/setup --fuzz
	@$(VENV)/python -m tests.fuzz

soak: setup ## power cuts in updates of a node; a day of a bench in 10 minutes (SOAK_MINUTES=2, SOAK_SEED=1)
	@$(VENV)/python -m tests.soak --seed $(or $(SOAK_SEED),1)
	@$(VENV)/python -m tests.soak_bench --seed $(or $(SOAK_SEED),1) --minutes $(or $(SOAK_MINUTES),10)

clean: ## remove what was built (not .venv)
	@rm -rf build
