"""What a new user waits for: clone, install, and the default run by phases; prints JSON.

    python tests/perf/first_run.py [--no-install] [--scratch] [--folder DIR]

Wall and CPU seconds (of all processes) of each step, in a fresh clone of this checkout's last commit; the phases of the
run are wall seconds, as its `summary.json` has them. `--scratch` also runs the whole as it was before a start came with
rltf: warm-up from random weights, then 90 iterations; the ratio of both runs' CPU seconds is of one machine then.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BEFORE = ("warmup.from=scratch", "trainer.max_epochs=90")


def timed(command: list[str], folder: Path) -> dict[str, float]:
    """Wall and CPU seconds of a command and all that it starts."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(time.perf_counter() - start, 1), "cpu_seconds": round(cpu, 1)}


def first_lines(python: str, folder: Path, run: Path) -> dict[str, float]:
    """Seconds from the command to its first line, and to the first step of training; the run is ended there."""
    command = [python, "-u", "train.py", "logger=none", f"hydra.run.dir={run}", "evaluation.problems=1"]
    start, seconds = time.perf_counter(), {}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            seconds.setdefault("first_line_seconds", round(time.perf_counter() - start, 2))
            if line.startswith("rl "):
                seconds["first_iteration_seconds"] = round(time.perf_counter() - start, 2)
                break
        process.terminate()
    return seconds


def train(python: str, folder: Path, run: Path, *overrides: str) -> dict[str, Any]:
    """Figures of a run: time, phases, pass@k."""
    figures: dict[str, Any] = timed([python, "train.py", "logger=none", f"hydra.run.dir={run}", *overrides], folder)
    summary = json.loads((run / "summary.json").read_text())
    passed = {when: record["pass_at_k"] for when, record in summary["evaluation"].items()}
    return {**figures, "phases": summary["seconds"], "pass_at_k": passed}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-install", action="store_true", help="this interpreter instead of a new environment")
    parser.add_argument("--scratch", action="store_true", help="also the run as it was before")
    parser.add_argument("--folder", type=Path, help="where the clone is made; default: a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)) / "rltf"
        figures: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "load": round(os.getloadavg()[0], 1)}
        figures["avx512"] = "avx512f" in Path("/proc/cpuinfo").read_text()
        figures["clone"] = timed(["git", "clone", "--quiet", str(ROOT), str(folder)], ROOT)
        python = sys.executable
        if not arguments.no_install:
            figures["install"] = timed(["make", ".venv/.ready"], folder)
            python = str(folder / ".venv/bin/python")
        runs = Path(temporary) / "runs"
        figures["default"] = train(python, folder, runs / "default")
        figures["default"] |= first_lines(python, folder, runs / "lines")
        if arguments.scratch:
            figures["scratch"] = train(python, folder, runs / "scratch", *BEFORE)
            figures["cpu_ratio"] = round(figures["default"]["cpu_seconds"] / figures["scratch"]["cpu_seconds"], 3)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
