# `make augment` is all a fresh machine needs: Python 3.10 to 3.13 and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The user's folder of parts; empty means the demo corpora.
ROOT ?=
# Parameters, for example PARAMS=masks.count=200,synthesis.count=200.
PARAMS ?=
# More Kedro options, for example KEDRO_ARGS="--env=sd15".
KEDRO_ARGS ?=
TEST_ARGS ?=
# Another port, say: VIZ_ARGS="--port 4142", MLFLOW_ARGS="--port 5001".
VIZ_ARGS ?=
MLFLOW_ARGS ?=
# What `make try` makes smaller: a look at the whole in a minute or two, not the best images.
# Of the demo's flange it is known that every engine serves; of your parts a few trials say which.
TRY = $(if $(ROOT),synthesis.trials=4,ingest.categories=flange$(comma)synthesis.engine=mixture),$\
  masks.count=60,synthesis.count=60,synthesis.nulls=120,finetune.steps=20,finetune.validate_every=20
# What `make bundle` writes, and pip's options for it: where CPU wheels of torch are, for example
# PIP_ARGS="--extra-index-url URL"; on Linux PyPI's want CUDA libraries, which are then bundled too.
BUNDLE ?= dist/bundle
PIP_ARGS ?=
comma := ,
# What `make paper` makes fewer of, so that the demo takes less than 90 minutes on two cores; of
# your own parts it makes what conf/ says.
PAPER_COUNTS ?= $(if $(ROOT),,masks.count=300,synthesis.count=300,protocol.seeds=0,quality.images=40,$\
  ablation.count=40,ablation.cost_images=8,ablation.cost_repeats=3,$\
  ablation.shots_categories=flange,localization.training.steps=130)
PAPER_TABLES ?= $(if $(ROOT),,masks.count=200,synthesis.count=200,synthesis.nulls=300,$\
  synthesis.trials=8,finetune.steps=150,protocol.seeds=0,ingest.categories=flange,$\
  localization.training.steps=130,arms.names=base defectsynth)
GIVEN = $(if $(ROOT),root=$(ROOT)$(if $(PARAMS),$(comma)))$(PARAMS)
# More of `benchmarks/bench.py`, say BENCH_ARGS="--quick --no-sd15".
BENCH_ARGS ?=
RUN_ARGS ?= --run
# All faults take an hour or more; FAULT_ARGS="--kills 4 --moments 1" some minutes.
FAULT_ARGS ?=

.PHONY: help install try augment downstream partitions ablation paper pretrain test lint viz mlflow bench bench-run faults bundle docs clean-data

help:
	@echo "make try                             60 images of the demo's flange in a minute or two"
	@echo "make augment [ROOT=/path/to/parts]   1,000 labelled defect images (installs first)"
	@echo "make downstream                      trains detectors on them: does the data pay?"
	@echo "make partitions [ROOT=...]           both, over the three partitions: the paper's tables"
	@echo "make ablation [ROOT=...]             what each idea is worth and costs, and more real defects"
	@echo "make paper                           every table of the paper at reduced counts, on the demo"
	@echo "make test | lint                     the checks CI runs"
	@echo "make viz | mlflow                    look at the graph | at the runs, in a browser"
	@echo "make pretrain | bench                train the compact base again | measure the numbers"
	@echo "make faults                          bad input, kills, full disks: what a run survives"
	@echo "make docs                            the documentation as pages, in site/"
	@echo "make bundle                          a folder that installs on a machine without network"
	@echo "make clean-data                      delete everything runs have written (not 01_raw)"

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else \
	  "Python 3.10 to 3.13 is needed, %s is %d.%d. Name another: make install PYTHON=python3.12" \
	  % ((sys.executable,) + v))'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

try: $(STAMP)
	$(BIN)/kedro run --pipeline=augment "--params=$(TRY)$(if $(GIVEN),$(comma)$(GIVEN))" $(KEDRO_ARGS)

augment: $(STAMP)
	$(BIN)/kedro run --pipeline=augment $(if $(GIVEN),"--params=$(GIVEN)") $(KEDRO_ARGS)

downstream: $(STAMP)
	$(BIN)/kedro run --pipeline=downstream $(if $(PARAMS),"--params=$(PARAMS)") $(KEDRO_ARGS)

# One run; stopped, the same command goes on.
partitions: $(STAMP)
	$(BIN)/kedro run --pipeline=partitions $(if $(GIVEN),"--params=$(GIVEN)") $(KEDRO_ARGS)

ablation: $(STAMP)
	$(BIN)/kedro run --pipeline=ablation $(if $(GIVEN),"--params=$(GIVEN)") $(KEDRO_ARGS)

# Quality is that of the latest images, if there are any. Stopped, the same command goes on.
paper: FEW = $(PAPER_COUNTS)$(if $(and $(PAPER_COUNTS),$(GIVEN)),$(comma))$(GIVEN)
paper: TABLES = $(PAPER_TABLES)$(if $(and $(PAPER_TABLES),$(GIVEN)),$(comma))$(GIVEN)
paper: $(STAMP)
	@test -d data/07_model_output/synthetic_images || \
	  $(BIN)/kedro run --pipeline=augment "--params=$(FEW)" $(KEDRO_ARGS)
	$(BIN)/kedro run --pipeline=quality "--params=$(FEW)" $(KEDRO_ARGS)
	$(BIN)/kedro run --pipeline=ablation "--params=$(FEW)" $(KEDRO_ARGS)
	$(BIN)/kedro run --pipeline=partitions "--params=$(TABLES)" $(KEDRO_ARGS)

pretrain: $(STAMP)
	$(BIN)/kedro run --pipeline=pretrain $(KEDRO_ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder $(TEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

viz: $(STAMP)
	$(BIN)/kedro viz run --host 127.0.0.1 $(VIZ_ARGS)

mlflow: export MLFLOW_DISABLE_TELEMETRY = true
mlflow: $(STAMP)
	@$(BIN)/python -m defectsynth_pipeline.hooks.store mlruns/mlflow.db
	$(BIN)/mlflow ui --host 127.0.0.1 --backend-store-uri sqlite:///mlruns/mlflow.db $(MLFLOW_ARGS)

bench: $(STAMP)
	$(BIN)/python benchmarks/bench.py $(BENCH_ARGS)

# A whole run of the demo, timed and counted again; RUN_ARGS= judges the latest one in data/.
bench-run: $(STAMP)
	$(BIN)/python benchmarks/augment.py $(RUN_ARGS)

faults: $(STAMP)
	$(BIN)/python benchmarks/faults.py $(FAULT_ARGS)

# What a run does not need is not in the lock.
docs: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock "mkdocs-material>=9.6"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "open site/index.html"

# Wheels of everything in the lock and of what torch brings along, ours with model and settings in
# it, and how to install them.
bundle: $(STAMP)
	rm -rf $(BUNDLE)
	mkdir -p $(BUNDLE)
	$(BIN)/python -m pip wheel --disable-pip-version-check $(PIP_ARGS) \
	  --wheel-dir $(BUNDLE)/wheels --requirement requirements.lock
	$(BIN)/python -m hatchling build -t wheel -d $(abspath $(BUNDLE))/wheels
	cp requirements.lock docs/offline.md $(BUNDLE)/
	@du -sh $(BUNDLE)

clean-data:
	find data -mindepth 2 -not -path 'data/01_raw/*' -not -name .gitkeep -delete
