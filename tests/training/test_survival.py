"""Runs that are killed at any moment and go on as if nothing had happened, to the bit."""

import csv
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import fork_server
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.numpy import load_file

from rltf.runs.checkpoint_file import cut_lines, cut_rows, newest
from rltf.runs.resume import begin_run

ROOT = Path(__file__).parents[2]
OPTIONS = (
    "debug=default",
    "benchmark.sizes={train: 20, validation: 4, test: 6}",
    "report=false",
    "callbacks.progress=null",
    "logger=none",
    "warmup={steps: 11, save_every: 3}",
    "trainer.max_epochs=8",
    "model.dropout=0.1",  # so that random numbers of training count
)
GRACE = 10
"""CPU seconds in which a run must have ended; schedulers give 30 seconds and more."""
PATIENCE = 800
"""Seconds until a run counts as hung; the machine may be busy."""


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "train.py"), *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def complete(folder: Path, *options: str) -> None:
    """Runs to the end, in a fork of a process that has imported everything."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = fork_server.run("train.py", *options, cwd=folder, env=environment, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr


def stop_when(process: subprocess.Popen[str], happened: Callable[[], object], delay: float, how: int) -> str:
    """Stops the run a while after something happened, and gives what it said; a run that was faster ended by itself."""
    deadline = time.monotonic() + PATIENCE
    while not happened() and process.poll() is None:
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.0005)
    time.sleep(delay)
    others, asked = ended_cpu_seconds(), cpu_seconds(process)
    process.send_signal(how)
    said = process.communicate(timeout=PATIENCE)[1]
    assert ended_cpu_seconds() - others - asked < GRACE
    return said


def cpu_seconds(process: subprocess.Popen[str]) -> float:
    """CPU time of a process until now; 0 when it has ended."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ended_cpu_seconds() -> float:
    """CPU time of all our processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def progress(run: Path) -> Callable[[], bool]:
    """Whether the run has written a row or a checkpoint since now: the process that is being started is at work."""
    files = [run / "metrics.csv", run / "checkpoints" / "warmup.ckpt", run / "checkpoints" / "last.ckpt"]

    def ages() -> list[int]:
        return [file.stat().st_mtime_ns if file.exists() else 0 for file in files]

    before = ages()
    return lambda: ages() != before


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
    complete(folder, *OPTIONS, f"hydra.run.dir={folder}/run")
    return folder / "run"


def survive(folder: Path, kills: list[tuple[str, float]], how: int = signal.SIGKILL, *more: str) -> Path:
    """A run that is stopped again and again, each time a while after a file appeared, and then left to end."""
    run = folder / "run"
    options = [*OPTIONS, *more, f"hydra.run.dir={run}"]
    for reached, delay in kills:
        process = start(folder, *options)
        said = stop_when(process, (run / reached).exists, delay, how)
        if how != signal.SIGKILL:
            assert process.returncode == 128 + how
            assert said.strip().splitlines() == [
                f"interrupted: python train.py resume={run} goes on from the last checkpoint"
            ]
            assert summary(run)["status"] == "interrupted"
        options = [f"resume={run}"]
    complete(folder, *options)
    return run


def summary(run: Path) -> dict[str, Any]:
    return json.loads((run / "summary.json").read_text())


def finished(run: Path) -> bool:
    return (run / "summary.json").exists() and summary(run)["status"] == "finished"


def test_a_run_killed_in_warm_up_and_in_rl_ends_as_if_it_had_not_been(whole, tmp_path):
    kills = [("checkpoints/warmup.ckpt", 0.05), ("checkpoints/last.ckpt", 0.1), ("checkpoints/last.previous.ckpt", 0.3)]
    assert_same(survive(tmp_path, kills), whole)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
@pytest.mark.parametrize("lag", [0, 1])
def test_a_run_that_is_told_to_end_says_how_to_go_on_and_ends_as_if_it_had_not_been(lag, how, tmp_path):
    more = (f"rollouts.lag={lag}", "trainer.max_epochs=12")
    wanted = tmp_path / "whole"
    complete(tmp_path, *OPTIONS, *more, f"hydra.run.dir={wanted}")
    kills = [("checkpoints/warmup.ckpt", 0.0), ("checkpoints/last.ckpt", 0.02), ("checkpoints/last.previous.ckpt", 0.1)]
    assert_same(survive(tmp_path, kills, how, *more), wanted)


@pytest.mark.slow
@pytest.mark.parametrize("lag", [0, 1])
def test_a_run_killed_at_fourteen_random_moments_ends_as_if_it_had_not_been(lag, tmp_path):
    """The odd ones while a checkpoint is being written, the others within a second of any progress."""
    wanted, run, moments = tmp_path / "whole", tmp_path / "run", random.Random(lag)
    options = [*OPTIONS, f"rollouts.lag={lag}", "warmup={steps: 31, save_every: 3}", "trainer.max_epochs=60"]
    complete(tmp_path, *options, f"hydra.run.dir={wanted}")
    options += [f"hydra.run.dir={run}"]
    written, torn, kills = run / "checkpoints", 0, 0
    while kills < 14 and not finished(run):
        begun, process = progress(run), start(tmp_path, *options)
        if kills % 2:
            stop_when(process, lambda begun=begun: begun() and [*written.glob("*.new")], 0.0, signal.SIGKILL)
            torn += any(written.glob("*.new"))
        else:
            stop_when(process, begun, moments.uniform(0, 1), signal.SIGKILL)
        kills += process.returncode == -signal.SIGKILL
        options = [f"resume={run}"]
    if not finished(run):
        complete(tmp_path, *options)
    assert (kills, torn > 0) == (14, True)
    assert_same(run, wanted)


@pytest.mark.slow
def test_a_run_whose_disk_is_full_says_so_and_goes_on_when_there_is_room(tmp_path):
    """On a disk of its own, which somebody else fills to the last byte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200M", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        wanted, run = tmp_path / "whole", disk / "run"
        complete(tmp_path, *OPTIONS, f"hydra.run.dir={wanted}")
        process = start(tmp_path, *OPTIONS, f"hydra.run.dir={run}")
        ballast = disk / "ballast"

        def fill() -> bool:
            if not (run / "checkpoints" / "last.ckpt").exists():
                return False
            ballast.write_bytes(b"")
            with suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1 << 20))
            return True

        while not fill() and process.poll() is None:
            time.sleep(0.001)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1
        assert errors.strip().splitlines() == [
            f"error: the disk of {run} is full: make room, and resume={run} goes on from the last checkpoint"
        ]
        assert not [*run.rglob("*.new")], "what is half written fills the disk no further"
        ballast.unlink()
        complete(tmp_path, f"resume={run}")
        assert_same(run, wanted)
    finally:
        subprocess.run(["umount", str(disk)], check=False)


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
    def config(*overrides: str) -> dict[str, Any]:
        cfg = composed("train", "debug=default", *overrides)
        return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]

    begin_run(config(), tmp_path, resumed=False)
    with pytest.raises(ValueError, match="holds a run already: resume="):
        begin_run(config(), tmp_path, resumed=False)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.ckpt").touch()
    free = ("logger=none", "trainer.max_epochs=9", "executor.workers=1", "generation.sampler.max_rows=3")
    begin_run(config(f"resume={tmp_path}", *free), tmp_path, resumed=True)
    with pytest.raises(ValueError, match=r"^optimizer.lr is 0.1 and was 0.0003 when this run began"):
        begin_run(config(f"resume={tmp_path}", "optimizer.lr=0.1"), tmp_path, resumed=True)
