"""Hours of a run in minutes: what can go wrong goes wrong at random, and the result is that of a quiet run."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest
from safetensors.numpy import load_file
from test_survival import OPTIONS, ROOT, finished, programs, start, summary

ITERATIONS = int(os.environ.get("RLTF_SOAK_ITERATIONS", "100"))
KILLS = int(os.environ.get("RLTF_SOAK_KILLS", "4"))
AWAY = {"WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_API_KEY": "0" * 40, "WANDB_INIT_TIMEOUT": "3"}
STATED = {
    ".wandb_position",
    "overrides.yaml",
    "config.yaml",
    "evaluation.json",
    "metrics.csv",
    "rollouts.jsonl",
    "summary.json",
    "train.log",
    ".wandb_id",
}


def descendants(pid: int) -> list[int]:
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [p for child in listed for p in (int(child), *descendants(int(child)))]


def sandbox(pid: int) -> list[int]:
    """Workers and zygotes of the judge: whatever its supervisor has started."""
    found = []
    for child in descendants(pid):
        try:
            found += [child] if b"rltf" in Path(f"/proc/{child}/cmdline").read_bytes() else []
        except OSError:
            continue
    return found


def measured(pid: int) -> tuple[int, int, int]:
    """(bytes in memory, open files, processes) of a run."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(f"/proc/{pid}/fd")), len(descendants(pid))


@pytest.mark.slow
def test_a_run_with_faults_all_the_time_ends_as_a_quiet_one(tmp_path):
    chance = random.Random(7)
    longer = (*OPTIONS, f"trainer.max_epochs={ITERATIONS}", "trainer.check_val_every_n_epoch=50")
    wanted, run = tmp_path / "whole", tmp_path / "run"
    quiet = start(tmp_path, *longer, f"hydra.run.dir={wanted}")
    errors = quiet.communicate(timeout=1200)[1]
    assert quiet.returncode == 0, errors

    wandb = "logger.wandb={_target_: rltf.loggers.wandb.wandb_logger, mode: online}"
    options = [*longer, wandb, f"hydra.run.dir={run}"]
    script, environment = str(ROOT / "tests/training/faulty.py"), {**os.environ, **AWAY, "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(ROOT)
    pieces, struck = [], {"run": 0, "sandbox": 0}
    while not finished(run):
        log = (tmp_path / f"piece{len(pieces)}.log").open("w")
        process = subprocess.Popen([sys.executable, script, *options], cwd=tmp_path, env=environment, stderr=log)
        seen, checkpoint = [], run / "checkpoints" / "last.ckpt"
        age, iterations = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0, 0
        lives = chance.randrange(2, ITERATIONS // (KILLS + 1)) if struck["run"] < KILLS else ITERATIONS
        while process.poll() is None:
            time.sleep(0.05)
            now = checkpoint.stat().st_mtime_ns if checkpoint.exists() else age
            if now == age:
                continue
            age, iterations = now, iterations + 1
            seen.append(measured(process.pid))
            targets = sandbox(process.pid)
            if targets and chance.random() < 0.15:
                os.kill(chance.choice(targets), signal.SIGKILL)
                struck["sandbox"] += 1
            if iterations >= lives:
                process.kill()
                struck["run"] += 1
                break
        assert process.wait(timeout=60) in (0, -signal.SIGKILL), Path(log.name).read_text()
        log.close()
        pieces.append(seen)
        options = [f"resume={run}"]

    assert struck["run"] == KILLS
    assert struck["sandbox"] >= ITERATIONS // 30
    assert "generation ran out of memory" in (run / "train.log").read_text()
    assert programs(run) == programs(wanted)
    weights, expected = (load_file(folder / "policy" / "model.safetensors") for folder in (run, wanted))
    assert all((weights[name] == expected[name]).all() for name in expected)
    assert summary(run)["pieces"] == KILLS + 1

    longest = max(pieces, key=len)
    early, late = longest[len(longest) // 4 : len(longest) // 2], longest[-len(longest) // 4 :]
    memory, files, processes = ((median(m[i] for m in early), median(m[i] for m in late)) for i in range(3))
    print(f"{ITERATIONS} iterations, struck {struck}, memory {memory}, open files {files}, processes {processes}")
    assert memory[1] <= 1.05 * memory[0] + 8 * 2**20
    assert files[1] <= files[0] + 4
    assert processes[1] <= processes[0] + 2
    assert {path.name for path in run.iterdir() if path.is_file()} <= STATED
    assert {path.name for path in run.iterdir() if path.is_dir()} == {".hydra", "checkpoints", "policy", "wandb"}
    kept = {path.name for path in (run / "checkpoints").iterdir()}
    assert kept <= {f"{name}.ckpt" for name in ("warmup", "warmup.previous", "last", "last.previous", "best")}
    assert (run / "rollouts.jsonl").stat().st_size == pytest.approx(
        (wanted / "rollouts.jsonl").stat().st_size, rel=0.01
    )
