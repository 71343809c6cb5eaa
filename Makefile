# Every target sets up .venv by itself; nothing is installed outside this directory.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: help demo test test-cluster install check bench figures tools fuzz soak images wire lock licences sbom audit clean

help:  ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: $(INSTALLED)  ## Run simulated nodes for 20 seconds: a Xeon with the node agent, linked GPUs, four GPUs and their sidecar.
	@$(BIN)/xpu-simulator run xeon --plugin xpu-node-agent --scenario xeon
	@echo
	@$(BIN)/xpu-simulator run two-islands --plugin "xpu-gpu-plugin --allocation-policy=topology --telemetry {topology} \
		--health-management=false" --sidecar xpu-xelink-sidecar --scenario xelink
	@echo
	@$(BIN)/xpu-simulator run four-gpus --plugin "xpu-gpu-plugin --telemetry {telemetry} --health-leave-dwell=3s" \
		--sidecar xpu-level-zero-sidecar --scenario demo

test: $(INSTALLED)  ## Run the tests.
	$(BIN)/pytest

CLUSTER_TESTS ?= tests/cluster
test-cluster: $(INSTALLED)  ## Run the tests that need a real cluster; CONTRIBUTING.md says how to have one.
	$(BIN)/pytest $(CLUSTER_TESTS) -v -rP -o faulthandler_timeout=400

install: $(INSTALLED)  ## Create or update .venv: all programs, all extras, the development tools.

check: $(INSTALLED)  ## Check format, lint, types, import layers, and that shared/xpu_wire is what proto/ generates.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy plugins/xpu_plugins shared/xpu_shared shared/xpu_simulator sidecars/xpu_sidecars deploy/images tests
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory wire WIRE=build/wire && diff -r --exclude=__pycache__ --exclude=__init__.py build/wire/xpu_wire shared/xpu_wire
	@echo "shared/xpu_wire is what proto/ generates"

bench: $(INSTALLED)  ## Measure speed and memory; prints a table.
	PYTHONPATH=tests $(BIN)/python -m bench $(BENCH)

figures: $(INSTALLED)  ## Measure, and renew docs/figures.md: on a machine that does nothing else.
	PYTHONPATH=tests $(BIN)/python -m bench --json build/figures.json
	PYTHONPATH=tests $(BIN)/python -m bench.page build/figures.json >docs/figures.md

# The tests of manifests and chart are left out where these, or others on PATH, are not there.
TOOLS := build/tools
tools: $(TOOLS)/helm $(TOOLS)/kustomize $(TOOLS)/kinds  ## Build Helm, kustomize and a checker of objects, for the tests of manifests; needs Go.

$(TOOLS)/helm:
	GOBIN=$(CURDIR)/$(TOOLS) go install helm.sh/helm/v3/cmd/helm@v3.22.0

$(TOOLS)/kustomize:
	GOBIN=$(CURDIR)/$(TOOLS) go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.1

KINDS := tests/deploy/kinds
$(TOOLS)/kinds: $(KINDS)/main.go $(KINDS)/go.mod $(KINDS)/go.sum
	cd $(KINDS) && go build -o $(CURDIR)/$(TOOLS)/kinds .

FUZZ ?= 1000000
FUZZERS := .venv/fuzzers-installed
fuzz: $(INSTALLED) $(FUZZERS)  ## Fuzz every parser of outside input, FUZZ=COUNT executions each, a million by default; SEED=N repeats.
	PYTHONPATH=tests $(BIN)/python -m fuzz $(FUZZ) $(SEED)

$(FUZZERS): requirements-fuzz.lock $(INSTALLED)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-fuzz.lock
	@touch $@

MINUTES ?= 3
soak: $(INSTALLED)  ## Let things happen to simulated nodes for MINUTES, 3 by default, and hold them against what is true; SEED=N repeats.
	PYTHONPATH=tests $(BIN)/python -m soak $(MINUTES) $(SEED)

images: $(INSTALLED)  ## Build container images with buildah into build/images; IMAGES="NAME …" for some; docs/images.md.
	@PYTHONPATH=deploy $(BIN)/python -m images $(IMAGES)

WIRE ?= shared
SERVICES = $(shell grep -l '^service ' proto/xpu_wire/*.proto)
wire: $(INSTALLED)  ## Generate shared/xpu_wire from proto/.
	@mkdir -p $(WIRE)
	@$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=$(WIRE) \
		--plugin=protoc-gen-mypy=$(BIN)/protoc-gen-mypy --mypy_out=quiet:$(WIRE) proto/xpu_wire/*.proto
	@$(BIN)/python -m grpc_tools.protoc -Iproto --grpc_python_out=$(WIRE) \
		--plugin=protoc-gen-mypy_grpc=$(BIN)/protoc-gen-mypy_grpc --mypy_grpc_out=quiet:$(WIRE) $(SERVICES)

lock: $(INSTALLED)  ## Renew requirements*.lock from pyproject.toml.
	$(BIN)/uv pip compile -q pyproject.toml --all-extras --group dev --universal --generate-hashes --no-header --upgrade -o requirements.lock
	$(BIN)/uv pip compile -q --group fuzz --universal --generate-hashes --no-header --upgrade -o requirements-fuzz.lock
	$(BIN)/uv pip compile -q --group audit --universal --generate-hashes --no-header --upgrade -o requirements-audit.lock

licences: $(INSTALLED)  ## Renew docs/licences.md from requirements.lock.
	@sed '/^| Package/,$$d' docs/licences.md >build-licences && PYTHONPATH=tests $(BIN)/python -m supply licences >>build-licences
	@mv build-licences docs/licences.md

sbom: $(INSTALLED)  ## Build the wheel and its bill of materials (CycloneDX) in dist/.
	@$(BIN)/python -m pip wheel -q --disable-pip-version-check --no-deps --no-build-isolation -w dist .
	@PYTHONPATH=tests $(BIN)/python -m supply sbom dist/xpu_device_plugins-*.whl

AUDITOR := .venv/auditor
audit: $(INSTALLED) $(AUDITOR)/installed  ## Look for known vulnerabilities of everything that is locked.
	@PYTHONPATH=tests $(BIN)/python -m supply audit $(AUDITOR)/bin/pip-audit requirements*.lock

$(AUDITOR)/installed: requirements-audit.lock
	@$(PYTHON) -m venv --clear $(AUDITOR)
	@$(AUDITOR)/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-audit.lock
	@touch $@

clean:  ## Remove what these targets made.
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(INSTALLED): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
