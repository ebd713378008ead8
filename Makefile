# What can be done here; `make` alone tells. PYTHON: 3.11 or newer. ARGS: for the command behind a target.
PYTHON ?= python3
ARGS ?=
export OPENBLAS_NUM_THREADS ?= 1
COMPONENTS := service-quality experience-management customer-360 churn-prediction demo-operator

BIN := .venv/bin
READY := .venv/.installed
SOURCES := shared/src $(wildcard components/*/src) cem/src cem/bootstrap.py ctk/src
ROOTS := shared/tests components/*/tests cem/tests ctk/tests tests
TESTS := $(sort $(dir $(wildcard $(addsuffix /*.py,$(ROOTS)) $(addsuffix /*/*.py,$(ROOTS)))))

.DEFAULT_GOAL := help
.PHONY: help setup run test check lock migration openapi openapi-check ctk-mutants official-kits fuzz bench chaos alone images image-locks compose-check charts charts-check dashboards dashboards-check canvas-check clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## the virtual environment .venv, from requirements.lock

$(READY): requirements.lock cem/bootstrap.py $(wildcard */pyproject.toml components/*/pyproject.toml)
	@$(PYTHON) cem/bootstrap.py .venv

run: $(READY) ## everything, live; ARGS="--once --seed 3 --json loop.json", "--fault none", ...
	@exec $(BIN)/cem run $(ARGS)

test: check ## all checks and all tests; ARGS: for pytest
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

check: $(READY) ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(SOURCES)
	@well=true; for folder in $(TESTS); do \
	  case $$folder in */support/) path=.;; tests/charts/) path=tests/charts:tests/cluster:tests/judges;; *) path=$$folder;; esac; \
	  echo "$(BIN)/mypy $${folder}*.py"; MYPYPATH=$$path $(BIN)/mypy $${folder}*.py || well=false; done; $$well
	$(BIN)/lint-imports

lock: $(READY) ## requirements.lock from requirements.in; ARGS=--upgrade for newer versions
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --output-file requirements.lock $(ARGS) requirements.in
	$(BIN)/python tests/images/image_locks.py

migration: $(READY) ## the next migration; COMPONENT=customer-360 MESSAGE="what changes"
	$(BIN)/cem migration "$(COMPONENT)" --message "$(MESSAGE)"

openapi: $(READY) ## the files in openapi/, written from the declared resources
	@set -e; for component in $(COMPONENTS); do \
	  echo $$component; $(BIN)/$$component openapi --out openapi; done

openapi-check: $(READY) ## contract tables and our files against TM Forum's; SPECS=their folder
	$(BIN)/python tests/openapi_check.py "$(SPECS)"

ctk-mutants: $(READY) ## seeded faults, and how many the conformance kit finds; ARGS: --only ID ...
	$(BIN)/python tests/faults/mutants.py $(ARGS)

official-kits: $(READY) ## TM Forum's own kits against our components; KITS=their folder
	$(BIN)/python tests/judges/official_kits.py "$(KITS)" $(ARGS)

fuzz: $(READY) ## schemathesis against every exported file; ARGS="--examples 500"
	$(BIN)/python tests/judges/fuzz.py $(ARGS)

bench: $(READY) ## figures of the kernel against bare floors; ARGS: see tests/bench.py
	$(BIN)/python tests/bench.py $(ARGS)

chaos: $(READY) ## processes killed under load, and what is lost: nothing; ARGS: see tests/chaos.py
	$(BIN)/python tests/chaos.py $(ARGS)

alone: $(READY) ## each component alone, then the others come; ARGS: which components
	$(BIN)/python tests/alone.py $(ARGS)

images: $(READY) ## the container images; BASE=base image, ARGS="--twice" compares two builds, ARGS=customer-360
	BASE_IMAGE="$(BASE)" $(BIN)/python tests/images/build_images.py $(ARGS)

image-locks: $(READY) ## requirements of each image, in the versions of requirements.lock
	$(BIN)/python tests/images/image_locks.py

compose-check: $(READY) ## Compose for real, one fault through it, down; BASE=, POSTGRES_IMAGE=, ARGS="--scale full"
	BASE_IMAGE="$(BASE)" POSTGRES_IMAGE="$(POSTGRES_IMAGE)" $(BIN)/python tests/images/compose_check.py $(ARGS)

charts: $(READY) ## what in helm/ follows from components and values: facts, schemas, README tables
	$(BIN)/python tests/charts/write_charts.py $(ARGS)

charts-check: $(READY) ## the charts under Helm 3 and 4, on a real Kubernetes API too; CRDS=the ODA's, ARGS="--only lint"
	CRDS="$(CRDS)" $(BIN)/python tests/charts/charts_check.py $(ARGS)

dashboards: $(READY) ## helm/*/dashboards and rules, written anew from tests/dashboards
	$(BIN)/python tests/dashboards/written.py

dashboards-check: $(READY) ## a Prometheus scrapes the demo run: dashboards answer, alerts hold; ARGS="--scale tiny"
	$(BIN)/python tests/dashboards/dashboards_check.py $(ARGS)

canvas-check: $(READY) ## the charts under the ODA Canvas's own operators; OPERATORS=a checkout of oda-canvas
	$(BIN)/python tests/cluster/canvas_check.py "$(OPERATORS)" $(ARGS)

clean: ## stop what runs; remove its data (.run) and the environment (.venv)
	@if [ -x $(BIN)/cem ]; then $(BIN)/cem stop; fi
	rm -rf .run .venv
