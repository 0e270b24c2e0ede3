"""Runs that are killed at any moment and go on as if nothing had happened, to the bit."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file

from rltf.callbacks.checkpoints import cut_lines, cut_rows, newest
from rltf.runs import begin

ROOT = Path(__file__).parents[2]
OPTIONS = (
    "debug=default",
    "benchmark.sizes={train: 20, validation: 4, test: 6}",
    "callbacks.report=false",
    "callbacks.progress=false",
    "logger=none",
    "warmup={steps: 11, save_every: 3}",
    "trainer.max_epochs=8",
    "model.dropout=0.1",  # so that random numbers of training count
)


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "train.py"), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def wait(process: subprocess.Popen[str]) -> None:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err


def stop_when(
    process: subprocess.Popen[str], reached: Path, delay: float, how: signal.Signals = signal.SIGKILL
) -> None:
    """Stops the run a while after a file of it appears; a run that was faster has ended by itself."""
    deadline = time.monotonic() + 120
    while not reached.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(how)
    process.communicate(timeout=60)


def programs(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "rollouts.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if not k.startswith("perf/seconds")} for row in csv.DictReader(file)]


def assert_same(found: Path, expected: Path) -> None:
    assert programs(found) == programs(expected)
    assert rows(found) == rows(expected)
    weights, wanted = (load_file(folder / "policy" / "model.safetensors") for folder in (found, expected))
    assert weights.keys() == wanted.keys()
    assert all((weights[name] == wanted[name]).all() for name in wanted)
    assert (found / "evaluation.json").read_bytes() == (expected / "evaluation.json").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    wait(start(folder, *OPTIONS, f"hydra.run.dir={folder}/run"))
    return folder / "run"


def survive(folder: Path, kills: list[tuple[str, float]], how: signal.Signals = signal.SIGKILL) -> Path:
    """A run that is stopped again and again, and then left to end."""
    run = folder / "run"
    options = [*OPTIONS, f"hydra.run.dir={run}"]
    for reached, delay in kills:
        stop_when(start(folder, *options), run / reached, delay, how)
        if (run / ".hydra" / "overrides.yaml").exists():
            options = [f"resume={run}"]
    if not finished(run):
        wait(start(folder, *options))
    return run


def finished(run: Path) -> bool:
    return json.loads((run / "summary.json").read_text())["status"] == "finished"


def test_a_run_killed_in_warm_up_and_in_rl_ends_as_if_it_had_not_been(whole, tmp_path):
    kills = [("checkpoints/warmup.ckpt", 0.05), ("checkpoints/last.ckpt", 0.1), ("checkpoints/last.previous.ckpt", 0.3)]
    assert_same(survive(tmp_path, kills), whole)


@pytest.mark.slow
@pytest.mark.parametrize("lag", [0, 1])
def test_a_run_killed_at_thirteen_random_moments_ends_as_if_it_had_not_been(lag, tmp_path):
    wanted = tmp_path / "whole"
    wait(start(tmp_path, *OPTIONS, f"rollouts.lag={lag}", "trainer.max_epochs=30", f"hydra.run.dir={wanted}"))
    run, moments = tmp_path / "run", random.Random(lag)
    options = [*OPTIONS, f"rollouts.lag={lag}", "trainer.max_epochs=30", f"hydra.run.dir={run}"]
    for _ in range(13):
        stop_when(start(tmp_path, *options), run / "config.yaml", moments.uniform(0, 3), signal.SIGKILL)
        if (run / ".hydra" / "overrides.yaml").exists():
            options = [f"resume={run}"]
        if (run / "summary.json").exists() and finished(run):
            break
    if not finished(run):
        wait(start(tmp_path, *options))
    assert_same(run, wanted)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, caplog):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    torch.save({"weights": torch.arange(1000)}, folder / "last.previous.ckpt")
    torch.save({"weights": torch.arange(1000)}, folder / "last.ckpt")
    assert newest(tmp_path, ("last", "warmup")) == folder / "last.ckpt"
    content = bytearray((folder / "last.ckpt").read_bytes())
    at = content.index(torch.arange(500, 600).numpy().tobytes())
    content[at] ^= 1  # one bit of a weight
    (folder / "last.ckpt").write_bytes(content)
    assert newest(tmp_path, ("last", "warmup")) == folder / "last.previous.ckpt"
    assert "last.ckpt is damaged" in caplog.text
    assert not (folder / "last.ckpt").exists(), "the next save would keep it as the one before"
    (folder / "last.previous.ckpt").write_bytes(content[: len(content) // 2])
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^resume: no checkpoint in .* is whole"):
            newest(tmp_path, ("last", "warmup"))


def test_what_came_after_a_checkpoint_is_cut_off(tmp_path):
    lines, table = tmp_path / "rollouts.jsonl", tmp_path / "metrics.csv"
    lines.write_text("one\ntwo\nhal")
    table.write_text("a,b\n1,\n2,\n3,4\n")
    cut_lines(lines, 8)
    cut_rows(table, 2)
    assert (lines.read_text(), table.read_text().splitlines()) == ("one\ntwo\n", ["a,b", "1,", "2,"])


def test_a_resumed_run_keeps_the_keys_that_decide_its_numbers(composed, tmp_path):
    cfg = composed("train", "debug=default")
    begin(cfg, tmp_path)
    with pytest.raises(ValueError, match="holds a run already: resume="):
        begin(cfg, tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    free = ("logger=none", "trainer.max_epochs=9", "executor.workers=1", "generation.sampler.slots=3")
    begin(composed("train", "debug=default", f"resume={tmp_path}", *free), tmp_path)
    with pytest.raises(ValueError, match=r"^optimizer.lr is 0.1 and was 0.0003 when this run began"):
        begin(composed("train", "debug=default", f"resume={tmp_path}", "optimizer.lr=0.1"), tmp_path)
