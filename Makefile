# What a developer does with this checkout; `make` alone lists it.

# The first interpreter that is new enough; `make setup PYTHON=/path/to/python` overrides it.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.10; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.setup-done
PYTEST := $(PY) -m pytest -q

.DEFAULT_GOAL := help
.PHONY: help setup caffe chromium gpu gpu-checks gpu-carry demo test fuzz lint format corpus families experiment vgg speed bench docs notebooks looks schema stubs targets golden digits clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP)  ## .venv with fcnkit (editable) and everything the other targets need

$(STAMP): setup.py pyproject.toml
	@test -n "$(PYTHON)" || { echo "fcnkit needs Python 3.10 or newer: make setup PYTHON=..." >&2; exit 1; }
	@echo "setting up $(VENV); the first time this takes about a minute"
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@$(PY) -m compileall -q fcnkit prototxt_templates  # pip does so for all but editable packages
	@touch $@

# PyTorch is large: only the tests ask for it. torchvision, whose 0.28 goes with PyTorch 2.13, comes
# without what it depends on: that is PyPI's own build of PyTorch, in place of the one that is there.
$(VENV)/.torch-done: $(STAMP)
	@$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[torch]'
	@$(PY) -c 'import torch; print("torchvision==0.%d.*" % (int(torch.__version__.split(".")[1]) + 15))' \
	    | xargs $(PY) -m pip install --quiet --disable-pip-version-check --no-deps || \
	    echo 'torchvision could not be installed; the tests of its classifiers are SKIPPED' >&2
	@touch $@

caffe: setup  ## real Caffe (CPU) for the tests, in the user's cache folder, without root
	@$(VENV)/bin/fcnkit caffe install

chromium:  ## Chromium for the tests of pages: Debian's package, where root runs this
	@bash scripts/install_programs.sh chromium

gpu:  ## Caffe's program with CUDA kernels, from source, for `fcnkit train --gpu`; needs nvcc
	@bash scripts/build_caffe_gpu.sh

demo: setup  ## the whole job on the small digits network; leaves demo/digits.png
	@$(PY) scripts/demo.py

test: setup $(VENV)/.torch-done  ## ruff, mypy and all tests; real Caffe, PyTorch, Chromium, zsh and fish are installed first
	@$(VENV)/bin/fcnkit caffe install || { \
	    echo "make test: NO REAL CAFFE on this machine; the tests that ask it are SKIPPED" >&2; \
	    test -z "$$FCNKIT_REQUIRE_CAFFE"; }
	@bash scripts/install_programs.sh chromium zsh fish || \
	    echo "make test: CHROMIUM, ZSH OR FISH is missing on this machine; its tests are SKIPPED" >&2
	@$(PY) -m ruff check --output-format concise .; lint=$$?; \
	    $(PY) -m ruff format --check --quiet . || { echo 'make format puts the source in order' >&2; lint=1; }; \
	    $(PY) -m mypy || lint=1; \
	    $(PYTEST) -n auto --dist worksteal && exit $$lint

FCNKIT_FUZZ ?= 20000
fuzz: setup  ## FCNKIT_FUZZ damaged and hostile inputs of every kind; what breaks is left in tests/found
	@FCNKIT_FUZZ=$(FCNKIT_FUZZ) $(PYTEST) -n auto tests/test_fuzz.py

corpus: setup caffe $(VENV)/.torch-done  ## every net of the shared corpus through real Caffe and PyTorch, every layer type through every rewrite; over an hour
	@$(PYTEST) --corpus -rP -n auto --dist worksteal tests/test_corpus.py tests/test_upgrade.py tests/test_every_type.py \
	    tests/test_zoo.py tests/test_described.py tests/test_light.py tests/test_onnx_operators.py tests/test_targets.py

families: setup caffe  ## the table of docs/accuracy.md, what works for which networks; a quarter of an hour
	@$(PY) scripts/families.py --write

# By real Caffe; with ENGINE=torch by PyTorch, on a GPU with DEVICE=cuda.
ENGINE ?= caffe
DEVICE ?= cpu
experiment: setup $(if $(filter torch,$(ENGINE)),$(VENV)/.torch-done,caffe)  ## what transplanted weights and skips are worth, on CamVid; over half an hour
	@$(PY) scripts/experiment.py --engine $(ENGINE) --device $(DEVICE)

# Some minutes on a GPU, DEVICE=cuda; on a CPU 5 seconds for each of the STEPS.  ONLY= trains from
# random weights, too.
STEPS ?= 2000
ONLY ?= transplanted
vgg: setup $(VENV)/.torch-done  ## FCN-8s on VGG-16's trunk from ImageNet, on PyTorch
	@$(PY) scripts/vgg16_trunk.py build/vgg16
	@$(PY) scripts/experiment.py --engine torch --device $(DEVICE) --work build/experiment-vgg -o docs/experiment/vgg \
	    --trunk "VGG-16, its trunk trained on ImageNet" build/vgg16/vgg16-conv.prototxt build/vgg16/vgg16-trunk.caffemodel \
	    103.939,116.779,123.68 8 8 keep $(STEPS) $(addprefix --only ,$(ONLY)) --jobs 1 \
	    --beside docs/experiment/results.json

# With whatever Python and PyTorch a machine with a GPU has, and no network.
GPU_PYTHON ?= python3
gpu-checks:  ## all that is to be checked and measured on a GPU, in under nine minutes; leaves docs/gpu.md
	@$(GPU_PYTHON) scripts/gpu_checks.py

# For the Python of that machine; a Caffe that `make gpu` has built comes along, without CUDA's libraries.
GPU_VERSION ?= 3.12
GPU_NEEDS := click exceptiongroup filelock h5py iniconfig lmdb markdown-it-py mdurl packaging pillow pluggy protobuf \
    pygments pytest rich tomli
GPU_CAFFE := $(or $(FCNKIT_CAFFE_GPU),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/fcnkit/caffe-gpu)
gpu-carry: setup  ## what gpu-checks uses beside PyTorch, for Python GPU_VERSION, into build/gpu (to be carried there)
	@rm -rf build/gpu && mkdir -p build/gpu
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
	    --python-version $(GPU_VERSION) --target build/gpu/site $(GPU_NEEDS)
	@! test -e $(GPU_CAFFE)/.fcnkit-caffe-gpu-whole || (cd $(GPU_CAFFE) && \
	    find . -type f -size -30M -print0 | tar -c --null -T -) | tar -x --one-top-level=build/gpu/caffe
	@du -sh build/gpu

speed: setup caffe $(VENV)/.torch-done  ## FCNs on PyTorch by fcnkit and by hand, and in Caffe; leaves docs/gpu.md
	@$(PY) scripts/speed.py -o docs/gpu.md

docs: setup  ## the documentation as a site, build/docs/index.html
	@$(PY) -m sphinx --builder html --fresh-env --fail-on-warning --keep-going --nitpicky --quiet docs build/docs
	@echo "the documentation is at build/docs/index.html"

lint: setup $(VENV)/.torch-done  ## ruff, and mypy at the level that pyproject.toml says
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

format: setup  ## the source in ruff's format
	@$(PY) -m ruff format .

bench: setup  ## weights of 0.5 and 1.9 GB, against cp, protobuf and pycaffe; dense against window by window
	@$(PY) scripts/bench.py

notebooks: setup caffe $(VENV)/.torch-done  ## execute the notebooks again, where they are; review the diff
	@$(PY) scripts/notebooks.py

looks: setup chromium  ## how the notebooks look in JupyterLab, light and dark; leaves build/notebooks
	@test -x build/jupyter/bin/jupyter-lab || { $(PYTHON) -m venv build/jupyter && build/jupyter/bin/pip install --quiet jupyterlab; }
	@build/jupyter/bin/python scripts/notebooks_seen.py

schema: setup  ## compile fcnkit/formats/caffe.proto to caffe.desc
	@$(PY) scripts/make_schema.py

stubs: setup  ## write the names of fcnkit and Caffe's layers as editors and type checkers see them
	@$(PY) scripts/make_stubs.py

targets: setup  ## write the tables of docs/targets.md and docs/forks.md, after a change of their rules
	@$(PY) scripts/target_pages.py
	@$(PY) scripts/fork_page.py

golden: setup  ## rewrite the expected files under tests/cases; review the diff
	@$(PYTEST) --golden

digits: setup caffe  ## train the digits network again with real Caffe
	$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[digits]'
	$(PY) scripts/train_digits.py

clean:  ## remove what the other targets made, .venv included; Caffe's runtime stays
	rm -rf $(VENV) build dist demo *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find fcnkit prototxt_templates scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
