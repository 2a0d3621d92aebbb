# `make demo` and `make test` need python3 (3.10 or later) and make; everything else is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

# Through the environment, because that also reaches the isolated environment that builds the package.
export PIP_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# A folder with a zoo.py (see benchmarks/zoo.py); its models' packages are installed with the extra `zoo`.
ZOO ?= ../shared/zoo

.PHONY: help demo test test-torch lint format generated docs site zoo readability bench quality fuzz mutation scorecard clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       compile, train and sample a bundled model; under five minutes, results in demo/"
	@echo "make test       lint and every test"
	@echo "make test-torch VERSION=2.6.0  the tests that depend on torch, with another version in .venv-torch-VERSION"
	@echo "make lint       ruff check and ruff format --check"
	@echo "make format     let ruff fix and format the sources"
	@echo "make generated  recompile the bundled models into generated/, and keep what tests compare texts with"
	@echo "make docs       rewrite the tables in docs/ that come from the sources"
	@echo "make site       build the pages of docs/ as a site in build/site"
	@echo "make zoo        compile the bundled models and those of ZOO=FOLDER, and rewrite docs/zoo.md; some minutes"
	@echo "make readability  count how the packages of the bundled models and of ZOO=FOLDER read, in docs/readability.md"
	@echo "make bench      time packages against other libraries and the plain model, and rewrite docs/benchmarks.md;"
	@echo "                QUICK=1 for a few minutes instead of many, with the page in build/"
	@echo "make fuzz       compile and verify N=1000 generated programs and as many models of hostile names; FIRST=0"
	@echo "make mutation   make small mistakes in the compiler and count those that tests notice; takes long"
	@echo "make scorecard  measure how hard HyperGen is to break, and write docs/hardness.md; takes long"
	@echo "make quality    train every head beside the plain model, DATA=mnist.npz for a second one, and rewrite docs/quality.md"
	@echo "make clean      remove what make made"

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/hypergen demo --out demo

# Two workers on two cores: threads of their own, in every process that they start, would only stand in each other's way.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

# Committed output and times are those of the pinned torch. Its own constraints leave torch out.
TORCH_TESTS ?= tests/capture tests/causes tests/emit tests/fold tests/ops tests/recipes tests/owning tests/verification/test_verify.py
test-torch:
	$(if $(VERSION),,$(error name a version of torch, such as VERSION=2.6.0))
	$(PYTHON) -m venv .venv-torch-$(VERSION)
	grep -v '^torch==' constraints.txt > .venv-torch-$(VERSION)/constraints.txt
	PIP_CONSTRAINT=$(CURDIR)/.venv-torch-$(VERSION)/constraints.txt \
		.venv-torch-$(VERSION)/bin/python -m pip install --quiet torch==$(VERSION) --editable '.[dev]'
	.venv-torch-$(VERSION)/bin/python -m pytest -n 2 --dist worksteal $(TORCH_TESTS)

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff check --isolated --line-length 120 --select E501 generated  # what templates say, which no formatter wraps
	$(BIN)/ruff format --check

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

generated: $(INSTALLED)
	$(BIN)/python -m hypergen_compiler.examples generated
	$(BIN)/python -m pytest -q tests/printed tests/owning/test_documentation.py --keep

docs: $(INSTALLED)
	$(BIN)/python -m hypergen_compiler.documentation docs

site: $(INSTALLED)
	$(BIN)/python -m mkdocs build --strict

# denoising-diffusion-pytorch asks for torchvision, whose builds must match torch's; it is used without.
.venv/zoo: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[dev,zoo]'
	$(BIN)/python -m pip install --quiet --no-deps denoising-diffusion-pytorch
	touch $@

zoo: $(INSTALLED) $(if $(wildcard $(ZOO)/zoo.py),.venv/zoo)
	$(BIN)/python -m benchmarks.zoo "$(ZOO)" --out docs/zoo.md

readability: $(INSTALLED) $(if $(wildcard $(ZOO)/zoo.py),.venv/zoo)
	$(BIN)/python -m benchmarks.readability "$(ZOO)" --out docs/readability.md

# Other libraries' hypernetworks come without their dependencies, which would replace torch; a missing one is skipped.
.venv/rivals: $(INSTALLED)
	-$(BIN)/python -m pip install --quiet --no-deps torchhyper hypnettorch hyperlight hyper-nn tqdm
	touch $@

bench: .venv/rivals
	mkdir -p build
	$(BIN)/python -m benchmarks.speed $(if $(QUICK),--quick --out build,--out docs)

N ?= 1000
FIRST ?= 0
fuzz: $(INSTALLED)
	$(BIN)/python -m benchmarks.fuzzing --programs $(N) --hostile $(N) --first $(FIRST)

mutation: $(INSTALLED)
	$(BIN)/python -m benchmarks.mutation

scorecard: $(INSTALLED)
	$(BIN)/python -m benchmarks.scorecard

quality: $(INSTALLED)
	$(BIN)/python -m benchmarks.quality $(if $(DATA),--data "$(DATA)") --out docs

clean:
	rm -rf .venv .venv-torch-* demo build dist .pytest_cache .ruff_cache .hypothesis
