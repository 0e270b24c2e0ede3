"""What a new user waits for: clone, install, and the default run by phases; prints JSON.

    python tests/perf/first_run.py [--no-install] [--before COMMIT] [--scratch] [--avx2] [--folder DIR]

Wall and CPU seconds (of all processes) of each step, in a fresh clone of this checkout's last commit; the phases of the
run are wall seconds, as its `summary.json` has them. `--before` also runs the default of an earlier commit, `--scratch`
the whole as it was before a start came with rltf (warm-up from random weights, then 90 iterations): all of them at the
same time, so that whatever else the machine does slows them alike, and the ratios of their CPU seconds can be compared.
`--avx2` measures a processor without AVX-512, by the switches of torch, MKL, oneDNN and the compiler.
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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = ("warmup.from=scratch", "trainer.max_epochs=90")
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "CC": "cc -mno-avx512f",
}


@dataclass(frozen=True)
class Training:
    """A training command."""

    source: Path
    """The checkout whose code runs."""
    run: Path
    """Its run folder."""
    overrides: Sequence[str] = ()

    def start(self, python: str, **options: Any) -> subprocess.Popen[str]:
        """Starts it."""
        command = [python, "-u", "train.py", "logger=none", f"hydra.run.dir={self.run}", *self.overrides]
        environment = os.environ | {"PYTHONPATH": str(self.source)}
        return subprocess.Popen(command, cwd=self.source, env=environment, text=True, **options)


def timed(command: list[str], folder: Path) -> dict[str, float]:
    """Wall and CPU seconds of a command and all that it starts."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return figures_of(start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def figures_of(start: float, cpu_seconds: float) -> dict[str, float]:
    """Seconds since `start`, and CPU seconds, rounded."""
    return {"seconds": round(time.perf_counter() - start, 1), "cpu_seconds": round(cpu_seconds, 1)}


def first_lines(python: str, training: Training) -> dict[str, float]:
    """Seconds from the command to its first line, to the first words of held-out evaluation, and to the first iteration
    of RL; the run is ended there."""
    start, seconds = time.perf_counter(), {}
    with training.start(python, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            seconds.setdefault("first_line_seconds", round(time.perf_counter() - start, 2))
            if line.startswith(("evaluation", "held-out")):
                seconds.setdefault("first_evaluation_seconds", round(time.perf_counter() - start, 2))
            if line.startswith("rl "):
                seconds["first_iteration_seconds"] = round(time.perf_counter() - start, 2)
                break
        process.terminate()
    return seconds


def train_together(python: str, trainings: dict[str, Training]) -> dict[str, dict[str, Any]]:
    """Figures of runs that go on at the same time: time, phases, pass@k."""
    start = time.perf_counter()
    processes = {name: training.start(python, stdout=subprocess.DEVNULL) for name, training in trainings.items()}
    names = {process.pid: name for name, process in processes.items()}
    figures: dict[str, dict[str, Any]] = {}
    while names:
        pid, status, usage = os.wait4(-1, 0)  # seconds of one of them
        name = names.pop(pid)
        processes[name].returncode = os.waitstatus_to_exitcode(status)
        assert processes[name].returncode == 0, f"the run {name} failed"
        summary = json.loads((trainings[name].run / "summary.json").read_text())
        figures[name] = figures_of(start, usage.ru_utime + usage.ru_stime)
        figures[name]["phases"] = summary["seconds"]
        passed = {when: record["pass_at_k"] for when, record in summary.get("evaluation", {}).items()}
        figures[name]["pass_at_k"] = passed or summary["pass_at_k"]
    return figures


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-install", action="store_true", help="this interpreter instead of a new environment")
    parser.add_argument("--before", metavar="COMMIT", help="also the default run of this commit")
    parser.add_argument("--scratch", action="store_true", help="also the run from random weights")
    parser.add_argument("--avx2", action="store_true", help="as on a processor without AVX-512")
    parser.add_argument("--folder", type=Path, help="where the clone is made; default: a temporary folder")
    arguments = parser.parse_args()
    if arguments.avx2:
        os.environ.update(AVX2)
    with tempfile.TemporaryDirectory() as temporary:
        folder, runs = (arguments.folder or Path(temporary)) / "rltf", Path(temporary) / "runs"
        figures: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "load": round(os.getloadavg()[0], 1)}
        figures["avx512"] = "avx512f" in Path("/proc/cpuinfo").read_text() and not arguments.avx2
        figures["clone"] = timed(["git", "clone", "--quiet", str(ROOT), str(folder)], ROOT)
        python = sys.executable
        if not arguments.no_install:
            figures["install"] = timed(["make", ".venv/.ready"], folder)
            python = str(folder / ".venv/bin/python")
        figures["start"] = first_lines(python, Training(folder, runs / "lines"))
        trainings = {"default": Training(folder, runs / "default")}
        if arguments.scratch:
            trainings["scratch"] = Training(folder, runs / "scratch", SCRATCH)
        if arguments.before:
            old = Path(temporary) / "before"
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(old)], check=True)
            subprocess.run(["git", "checkout", "--quiet", arguments.before], cwd=old, check=True)
            trainings["before"] = Training(old, runs / "before")
        figures |= train_together(python, trainings)
        for name in trainings:
            if name != "default":
                ratio = figures["default"]["cpu_seconds"] / figures[name]["cpu_seconds"]
                figures[f"cpu_ratio_to_{name}"] = round(ratio, 3)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
