# Every target sets up .venv by itself; nothing is installed outside this directory.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: help demo test test-cluster install check bench tools fuzz images wire lock clean

help:  ## List the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: $(INSTALLED)  ## Run simulated nodes for about 50 seconds: four GPUs and their sidecar, linked GPUs, and a Xeon with the node agent.
	@$(BIN)/xpu-simulator run four-gpus --plugin "xpu-gpu-plugin --telemetry {telemetry} --health-leave-dwell=3s" \
		--sidecar xpu-level-zero-sidecar --scenario demo
	@echo
	@$(BIN)/xpu-simulator run two-islands --plugin "xpu-gpu-plugin --allocation-policy=topology --telemetry {topology} \
		--health-management=false" --sidecar xpu-xelink-sidecar --scenario xelink
	@echo
	@$(BIN)/xpu-simulator run xeon --plugin xpu-node-agent --scenario xeon

test: $(INSTALLED)  ## Run the tests.
	$(BIN)/pytest

CLUSTER_TESTS ?= tests/cluster
test-cluster: $(INSTALLED)  ## Run the tests that need a real cluster; CONTRIBUTING.md says how to have one.
	$(BIN)/pytest $(CLUSTER_TESTS) -o faulthandler_timeout=400

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

# The tests of manifests and chart are left out where these, or others on PATH, are not there.
TOOLS := build/tools
tools: $(TOOLS)/helm $(TOOLS)/kustomize  ## Build Helm and kustomize, for the tests of manifests; needs Go.

$(TOOLS)/helm:
	GOBIN=$(CURDIR)/$(TOOLS) go install helm.sh/helm/v3/cmd/helm@v3.22.0

$(TOOLS)/kustomize:
	GOBIN=$(CURDIR)/$(TOOLS) go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.1

FUZZ ?= 1000000
fuzz: $(INSTALLED)  ## Fuzz what a telemetry subscriber reads: FUZZ=COUNT frames, a million by default.
	PYTHONPATH=tests $(BIN)/python -m fuzz $(FUZZ)

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

lock: $(INSTALLED)  ## Renew requirements.lock from pyproject.toml.
	$(BIN)/uv pip compile -q pyproject.toml --all-extras --group dev --universal --generate-hashes --no-header --upgrade -o requirements.lock

clean:  ## Remove what these targets made.
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(INSTALLED): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
