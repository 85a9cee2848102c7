# Two commands on a fresh machine: `make reproduce` and `make test`. Both make the environment in .venv if it is missing.
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

.PHONY: help reproduce book pdf ablations test check reliability slurm lint bench lab environment clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

reproduce: $(READY) ## data, every stage, Table 1 and the book: PROFILE=smoke|demo|quick|paper DATA=folder SET='key=value' JOBS=cores CLUSTER=params/slurm
	python -m asdlib reproduce --profile "$(PROFILE)" $(if $(DATA),--data "$(DATA)") $(if $(SET),--set $(SET)) $(if $(JOBS),--jobs $(JOBS)) $(if $(CLUSTER),--cluster "$(CLUSTER)")

book: $(READY) ## only assemble and build the book of a run that is there
	python book/assemble.py --profile "$(PROFILE)"

pdf: book ## the book as one PDF, printed by Chromium
	python book/pdf.py --profile "$(PROFILE)"

ablations: $(READY) ## what each part earns, seeds 0, 1 and 2, some two hours on two cores: DATA=folder
	for seed in 0 1 2; do python -m asdlib reproduce scores --profile ablations $(if $(DATA),--data "$(DATA)") \
		$(if $(JOBS),--jobs $(JOBS)) --set seed=$$seed runs=runs/seed$$seed || exit; done
	python -m asdlib ablations runs/seed0/ablations runs/seed1/ablations runs/seed2/ablations

test: $(READY) lint ## every test, the smoke profile end to end among them
	python -m pytest

check: $(READY) lint ## the quick tests only: lint, the examples in docstrings, unit tests; a minute or so
	python -m pytest -m "not slow"

lint: $(READY) ## ruff on code and notebooks; notebooks without outputs
	ruff check . && ruff format --check .
	nbstripout --verify notebooks/*.ipynb

reliability: $(READY) ## the tests that try to break everything, their figures kept for the book's page: KILLS=20
	KILLS="$(or $(KILLS),20)" RELIABILITY="$(abspath book/results/reliability/figures.csv)" python -m pytest \
		tests/test_bad_input.py tests/test_download.py tests/test_faults.py tests/test_security.py \
		tests/test_determinism.py tests/test_chaos.py

slurm: $(READY) ## the smoke profile on a real Slurm, started on this machine for it: as root, packages slurm-wlm and munge
	tests/slurm.sh start && trap 'tests/slurm.sh stop' EXIT && python -m pytest tests/test_slurm.py

bench: $(READY) ## ours against references, one core, some ten minutes: book/results/benchmarks.csv
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 python benchmarks/table.py

lab: $(READY) ## JupyterLab on the notebooks, on this machine only
	jupyter lab --ip 127.0.0.1 notebooks

environment: $(READY) ## the virtual environment

# Renamed at the end: an interrupted installation is started anew, not taken for whole.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, found " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --editable '.[all,dev,onnx,slurm]'
	touch $@

clean: ## remove runs, generated data and built books; the environment stays
	rm -rf runs data/smoke data/demo book/_build .snakemake
