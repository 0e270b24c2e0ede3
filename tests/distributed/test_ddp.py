"""Two processes on a CPU: the gradient of one process with the same programs, one run folder, and no hanging."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

ROOT = Path(__file__).parents[2]
OPTIONS = ("debug=default", "logger=none", "report=false", "callbacks.progress=null")
OPTIONS += ("benchmark.sizes={train: 20, validation: 4, test: 6}", "model.dropout=0.1")
PATIENCE = 800
"""Seconds until a process counts as hung; twenty times what it takes, as the machine may be busy."""
DDP = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2")


def command(script, *arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    line = [sys.executable, str(ROOT / script), *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(line, cwd="/", env=environment, stdout=pipe, stderr=pipe, text=True)


def finish(process):
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out + err


def records(run):
    return [json.loads(line) for line in (run / "rollouts.jsonl").read_text().splitlines()]


def children(process):
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in listed if b"train.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize("trainer", ["ddp", pytest.param("fsdp", marks=pytest.mark.slow)])
def test_two_processes_take_the_step_of_one(tmp_path, trainer):
    for devices, kind in ((1, "cpu"), (2, trainer)):
        finish(command("tests/distributed/step.py", tmp_path / f"{devices}.pt", devices, kind))
    one, two = (torch.load(tmp_path / f"{devices}.pt", weights_only=True) for devices in (1, 2))
    assert one.keys() == two.keys()
    norm = torch.cat([gradient.flatten() for gradient in one.values()]).norm()
    assert norm > 0.1
    assert all(gradient.dtype == torch.float64 for gradient in one.values())
    assert torch.cat([(one[name] - two[name]).flatten() for name in one]).norm() <= 1e-12 * norm


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["ddp", "fsdp"])
def test_a_killed_run_of_two_processes_goes_on_as_if_it_had_not_been(tmp_path, trainer):
    whole, run = tmp_path / "whole", tmp_path / "run"
    longer = (*OPTIONS, *DDP, f"trainer={trainer}", "trainer.max_epochs=4")
    finish(command("train.py", *longer, f"hydra.run.dir={whole}"))
    problems = {}
    for record in records(whole):
        problems.setdefault(record["iteration"], []).append(record["problem_id"])
    # two problems a process and iteration, two programs a problem; lag 1: the last iteration samples nothing
    assert all(len(found) == 8 and len(set(found)) == 4 for found in problems.values())
    assert json.loads((whole / "summary.json").read_text())["programs_judged"] == len(records(whole))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["whole"]

    process = command("train.py", *longer, f"hydra.run.dir={run}")
    while not (run / "checkpoints" / "last.ckpt").exists() and process.poll() is None:
        time.sleep(0.02)
    (other,) = children(process)
    os.kill(other, signal.SIGKILL)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode not in (0, None), "the process that is left must not hang, nor go on alone"
    assert "another process of this run" in errors
    finish(command("train.py", f"resume={run}"))
    programs = [[(r["iteration"], r["problem_id"], r["draw"], r["program"]) for r in records(f)] for f in (whole, run)]
    assert programs[0] == programs[1]
    weights = [torch.load(f / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for f in (whole, run)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    with safe_open(whole / "policy" / "model.safetensors", "pt") as exported:
        for name in exported.keys():  # noqa: SIM118 - no mapping
            assert torch.equal(exported.get_tensor(name), weights[0][f"policy.model.{name}"])


@pytest.mark.slow
@pytest.mark.parametrize("devices", [3])
def test_more_processes_than_problems_are_refused(tmp_path, devices):
    sizes = "benchmark.sizes={train: 2, validation: 4, test: 6}"
    process = command("train.py", *OPTIONS, *DDP, f"trainer.devices={devices}", sizes, f"hydra.run.dir={tmp_path}/run")
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "benchmark has 2 training problems for 3 processes" in errors
