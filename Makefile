# On a fresh machine, start with `make reproduce` or `make test`. Both create the environment in .venv if it is missing.
PROFILE ?= demo
DATA ?=
SET ?=
JOBS ?=
CLUSTER ?=
PYTHON ?= python3
VENV ?= .venv
export VIRTUAL_ENV := $(abspath $(VENV))
export PATH := $(abspath $(VENV))/bin:$(PATH)
READY := $(VENV)/.ready
# Several processes, one thread each; tests that share an expensive fixture stay in one process, and the files that take
# longest come first (tests/conftest.py).
PYTEST = OMP_NUM_THREADS=1 python -m pytest --numprocesses $(or $(JOBS),2) --no-loadscope-reorder

.PHONY: help reproduce book pdf ablations test check reliability slurm lint bench gpu lab environment clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

reproduce: $(READY) ## run data, all stages, Table 1 and the book: PROFILE=smoke|demo|quick|paper DATA=folder SET='key=value' JOBS=cores CLUSTER=params/slurm
	python -m asdlib reproduce --profile "$(PROFILE)" $(if $(DATA),--data "$(DATA)") $(if $(SET),--set $(SET)) $(if $(JOBS),--jobs $(JOBS)) $(if $(CLUSTER),--cluster "$(CLUSTER)")

book: $(READY) ## build only the book, from an existing run
	python book/assemble.py --profile "$(PROFILE)"

pdf: book ## print the book to one PDF with Chromium
	python book/pdf.py --profile "$(PROFILE)"

ablations: $(READY) ## measure the gain of each part with seeds 0, 1 and 2, about two hours on two cores: DATA=folder
	for seed in 0 1 2; do python -m asdlib reproduce scores --profile ablations $(if $(DATA),--data "$(DATA)") \
		$(if $(JOBS),--jobs $(JOBS)) --set seed=$$seed runs=runs/seed$$seed || exit; done
	python -m asdlib ablations runs/seed0/ablations runs/seed1/ablations runs/seed2/ablations

test: $(READY) lint ## run all tests, including the smoke profile end to end: JOBS=2
	$(PYTEST)

check: $(READY) lint ## run the quick tests in about a minute: lint, docstring examples, unit tests: JOBS=2
	$(PYTEST) -m "not slow"

lint: $(READY) ## run ruff on code and notebooks, and check that notebooks have no outputs
	ruff check . && ruff format --check .
	nbstripout --verify notebooks/*.ipynb

reliability: $(READY) ## run the stress tests and record their figures for the book's page on reliability: KILLS=20
	KILLS="$(or $(KILLS),20)" RELIABILITY="$(abspath book/results/reliability/figures.csv)" python -m pytest \
		tests/test_bad_input.py tests/test_containers.py tests/test_download.py tests/test_faults.py \
		tests/test_security.py tests/test_determinism.py tests/test_chaos.py

slurm: $(READY) ## test the smoke profile on a temporary Slurm on this machine; needs root and the packages slurm-wlm and munge
	tests/slurm.sh start && trap 'tests/slurm.sh stop' EXIT && python -m pytest tests/test_slurm.py

bench: $(READY) ## benchmark our code against references in about ten minutes on one core: book/results/benchmarks.csv
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 python benchmarks/table.py

gpu: $(READY) ## check and time the training on a GPU, in at most eight minutes: book/results/gpu/figures.csv
	python benchmarks/gpu.py

lab: $(READY) ## open the notebooks in JupyterLab, accessible from this machine only
	jupyter lab --ip 127.0.0.1 notebooks

environment: $(READY) ## create the virtual environment

# The file is touched at the end, so that an interrupted installation is repeated rather than taken for complete.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, found " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable '.[all,dev,onnx,slurm]'
	touch $@

clean: ## remove runs, generated data and built books, but keep the environment
	rm -rf runs data/smoke data/demo book/_build .snakemake
