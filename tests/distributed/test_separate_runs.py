"""Whole runs whose programs are drawn by another process: what they train on, how stale it is, and going on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
OPTIONS = ("debug=default", "logger=none", "report=false", "callbacks.progress=null", "model.dropout=0.1")
OPTIONS += ("trainer.max_epochs=5",)
SEPARATE = (*OPTIONS, "generation.placement=separate")


def start(*arguments):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    line = [sys.executable, str(ROOT / "train.py"), *arguments]
    return subprocess.Popen(line, cwd="/", env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=800)
    assert process.returncode == 0, out + err


def outcome(run):
    """Everything that was trained on, and the weights that came of it."""
    lines = [json.loads(line) for line in (run / "rollouts.jsonl").read_text().splitlines()]
    weights = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines], weights


def assert_same(one, two):
    assert one[0] == two[0]
    assert all(torch.equal(one[1][name], two[1][name]) for name in one[1])


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def descendant(process, name):
    """Process id of an actor below a process."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if name in (folder / "cmdline").read_bytes() and _below(int(folder.name), process.pid):
                return int(folder.name)
        except (OSError, ValueError):
            continue
    return None


def _below(pid, ancestor):
    while pid > 1 and pid != ancestor:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return pid == ancestor


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory):
    run = tmp_path_factory.mktemp("one") / "run"
    finish(start(*OPTIONS, "rollouts.lag=1", f"hydra.run.dir={run}"))
    return outcome(run)


def test_with_staleness_one_it_is_lag_one_to_the_bit_also_after_a_kill(tmp_path, in_one_process):
    run = tmp_path / "run"
    process = start(*SEPARATE, f"hydra.run.dir={run}")
    wait_for(run / "checkpoints" / "last.previous.ckpt", process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    finish(start(f"resume={run}"))
    assert_same(outcome(run), in_one_process)


def test_a_sampler_process_that_dies_is_replaced(tmp_path, in_one_process):
    run = tmp_path / "run"
    process = start(*SEPARATE, f"hydra.run.dir={run}")
    wait_for(run / "checkpoints" / "last.ckpt", process)
    os.kill(descendant(process, b"ray::SamplerActor"), signal.SIGKILL)
    finish(process)
    assert_same(outcome(run), in_one_process)
    assert "another takes its place" in (run / "train.log").read_text()


def test_staleness_is_bounded_and_a_killed_run_loses_no_programs(tmp_path):
    run = tmp_path / "run"
    keys = ("generation.max_staleness=2", "generation.refresh=2", "trainer.max_epochs=8")
    process = start(*SEPARATE, *keys, f"hydra.run.dir={run}")
    wait_for(run / "checkpoints" / "last.previous.ckpt", process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    finish(start(f"resume={run}"))
    lines, _ = outcome(run)
    # debug=default: 4 steps of warm-up, then 2 steps an iteration; 2 problems a ticket, 2 programs a problem
    ages = [4 + 2 * line["iteration"] - line["version"] for line in lines]
    assert 0 < max(ages) <= 2 * (2 + 2 - 1)
    assert {(line["version"] - 4) % 4 for line in lines if line["version"] != 4} <= {0, 2}
    tickets = [tuple(line["problem_id"] for line in lines[i : i + 4]) for i in range(0, len(lines), 4)]
    assert all(ids[0] == ids[1] and ids[2] == ids[3] for ids in tickets)
    visited = [problem for ids in tickets for problem in (ids[0], ids[2])]
    assert len(visited) == len(set(visited)), "no problem is visited twice before all were"
    summary = json.loads((run / "summary.json").read_text())
    assert summary["programs_judged"] == len(lines)
