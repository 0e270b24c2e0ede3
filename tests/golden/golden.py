"""Golden numbers: metrics, programs and weights of tiny runs, the same to the bit on every x86-64 machine.

    python tests/golden/golden.py                # compares with the files beside this script
    python tests/golden/golden.py --write        # records them anew
    python tests/golden/golden.py --write FOLDER # records them elsewhere, to compare two versions

The runs use one thread and neither AVX nor our own kernels, so that processors do not matter. A golden file changes
with the versions of torch, transformers and tokenizers (`versions.json` names those it belongs to), and with a commit
whose message says that it changes numbers and why. A change of names, rooms or speed changes none of them.
"""

from __future__ import annotations

import os

PORTABLE = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "CC": "false",  # no compiled kernels
    "WANDB_MODE": "offline",
    "HF_HUB_OFFLINE": "1",
}
os.environ.update(PORTABLE)  # read once, when torch is loaded

import argparse
import csv
import hashlib
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir

from rltf.commands.job import run_job
from rltf.commands.train import train

HERE = Path(__file__).parent
CONFIGS = HERE.parents[1] / "configs"
SMALL = (
    "debug=default",
    "benchmark.sizes={train: 200, validation: 4, test: 6}",
    "benchmark.difficulties={easy: 1}",
    "rollouts.problems=8",
    "rollouts.samples=4",
    "rollouts.batch_size=16",
    "trainer.accumulate_grad_batches=1",
    "executor.timeout=10",
    "report=false",
    "callbacks.progress=null",
    "schedule.warmup_steps=0",
)
MODEL = ("model.d_model=96", "model.d_ff=256", "model.layers=2", "model.heads=4")
START = (*MODEL, "warmup.steps=700", "warmup.batch_size=32", "warmup.lr=3e-3", "algorithm=sft", "trainer.max_epochs=1")
"""A policy some of whose programs pass: the other runs begin with it."""
EXPERIMENTS = (
    *("online", "coarse", "coarse+fine", "coarse+fine+adaptive", "critic", "executed", "offline", "offline_grpo"),
    *("prm", "supervised"),
)
PACKAGES = ("torch", "transformers", "tokenizers", "lightning", "numpy")
MEASURED = "perf/"
"""Columns of metrics that depend on the machine's speed."""


def main() -> int:
    """Exit code 1 where a number differs from its golden file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", nargs="?", const=HERE, type=Path, metavar="FOLDER")
    parser.add_argument("--against", default=HERE, type=Path, metavar="FOLDER")
    options = parser.parse_args()
    torch.set_num_threads(1)
    differing = []
    with tempfile.TemporaryDirectory() as scratch:
        for name, record in records(Path(scratch)):
            text = json.dumps(record, indent=1) + "\n"
            if options.write:
                options.write.mkdir(exist_ok=True, parents=True)
                (options.write / f"{name}.json").write_text(text)
            else:
                differing += differences(name, options.against / f"{name}.json", json.loads(text))
    for line in differing:
        print(line)
    if not options.write:
        print(f"{len(differing)} differences from {options.against}")
    return int(bool(differing))


def records(scratch: Path) -> Iterator[tuple[str, dict]]:
    """Name and numbers of every golden run, below the folder `scratch`."""
    yield "versions", {package: version(package) for package in PACKAGES}
    yield "start", run(scratch / "start", *START)
    start = (
        "model=pretrained",
        "model.name=null",
        "model.max_prompt_tokens=128",
        "recipe=tiny_t5",
        f"model.path={scratch}/start/policy",
    )
    yield "default", run(scratch / "default", *start)
    yield "resumed", resumed(scratch / "resumed", *start)
    yield "causal", run(scratch / "causal", "model=tiny_causal", *MODEL, "warmup.steps=60")
    prm_model = process_reward_model(scratch, *start)
    for name in EXPERIMENTS:
        needs = {
            "prm": [f"reward.terms.prm.model={prm_model}"],
            "executed": ["benchmark.difficulties={hard: 1}"],  # branches that no test enters
        }.get(name, [])
        yield f"experiment-{name}", run(scratch / name, *start, f"experiment={name}", *needs)


def config(folder: Path, *overrides: str):
    """A tiny run's config; what the command line names comes last."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", [f"paths.output_dir={folder}", *SMALL, *overrides])


def run(folder: Path, *overrides: str) -> dict:
    """Numbers of one run of two iterations."""
    train(config(folder, *overrides))
    return numbers(folder)


def resumed(folder: Path, *overrides: str) -> dict:
    """Numbers of a run of three iterations that ended after the second, and of the one that was resumed."""
    train(config(folder, *overrides, "trainer.max_epochs=2"))
    train(config(folder, *overrides, "trainer.max_epochs=3", f"resume={folder}"))
    return numbers(folder)


def process_reward_model(scratch: Path, *overrides: str) -> Path:
    """A process reward model, trained on labels of the tiny policy's lines."""
    small = (f"job.{setting}" for setting in ("problems=4", "samples=2", "completions=2"))
    run_job(config(scratch / "labels", *overrides, "job=prm_data", *small))
    data = (f"job.data={scratch / 'labels'}", "job.held_out=0.5")
    run_job(config(scratch / "prm_model", *overrides, "job=prm", *data))
    return scratch / "prm_model"


def numbers(folder: Path) -> dict:
    """Metrics, programs, evaluations and weights of a finished run."""
    rows = list(csv.DictReader(io.StringIO((folder / "metrics.csv").read_text())))
    rows = [row for row in rows if row["phase"] != "evaluation"]  # the same numbers as `pass_at_k`
    metrics = [{k: v for k, v in row.items() if v and not k.startswith(MEASURED)} for row in rows]
    file = folder / "rollouts.jsonl"
    rollouts = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    programs = [[r["problem_id"], r["draw"], r["outcome"], r["passed"], r["reward"], r["program"]] for r in rollouts]
    summary = json.loads((folder / "summary.json").read_text())
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    digest = hashlib.sha256()
    for name in sorted(checkpoint):
        digest.update(name.encode() + checkpoint[name].contiguous().numpy().tobytes())
    return {
        "weights": digest.hexdigest(),
        "programs": hashlib.sha256(json.dumps(programs).encode()).hexdigest(),
        "pass_at_k": summary["pass_at_k"],
        "metrics": metrics,
    }


def differences(name: str, path: Path, actual: dict) -> Iterator[str]:
    """A line for each number of a record that differs from the file's."""
    if not path.exists():
        yield f"{name}: no golden file {path.name}"
        return
    golden = dict(_flat(json.loads(path.read_text())))
    values = dict(_flat(actual))
    for key in [*golden, *(k for k in values if k not in golden)]:
        if golden.get(key) != values.get(key):
            yield f"{name}: {key} is {values.get(key)}, golden {golden.get(key)}"


def _flat(node, path: str = "") -> Iterator[tuple[str, object]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else None
    if children is None:
        yield path, node
        return
    for key, child in children:
        yield from _flat(child, f"{path}.{key}" if path else str(key))


if __name__ == "__main__":
    sys.exit(main())
