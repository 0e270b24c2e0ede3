"""How fast the command answers: CPU seconds of `import rltf` and of `train.py --cfg job`, and wall seconds from the
command to the first logged reward of the default run.

    python tests/perf/startup.py [--rounds 5] [--no-run]

Each round starts a bare Python ten times, and the commands once each; ratios are over the bare Python of their round.
Prints one JSON object."""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def cpu_seconds(command: list[str]) -> float:
    """User and system seconds of one finished child."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def seconds_to_first_reward() -> float:
    """Wall seconds until metrics.csv of a run without warm-up holds a reward; the run is stopped then."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", f"hydra.run.dir={folder}", "warmup.steps=0", "evaluation.problems=1"]
        command += ["evaluation.samples=1", "evaluation.ks=[1]"]
        start = time.monotonic()
        run = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            while run.poll() is None:
                metrics = Path(folder) / "metrics.csv"
                if metrics.exists():
                    with metrics.open(newline="") as file:
                        if any(row.get("rollout/reward_mean") for row in csv.DictReader(file)):
                            return time.monotonic() - start
                time.sleep(0.05)
            raise RuntimeError(f"the run ended with exit code {run.returncode} before it logged a reward")
        finally:
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()


def main() -> None:
    """Prints the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-run", action="store_true", help="without the run to its first reward")
    arguments = parser.parse_args()
    commands = {"import_rltf": ["-c", "import rltf"], "cfg_job": ["train.py", "--cfg", "job"]}
    bare: list[float] = []
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(arguments.rounds):
        bare.append(statistics.median(cpu_seconds([sys.executable, "-c", "pass"]) for _ in range(10)))
        for name, command in commands.items():
            seconds[name].append(cpu_seconds([sys.executable, *command]))
    result: dict[str, object] = {"benchmark": "startup", "bare_python_cpu_s": round(statistics.median(bare), 3)}
    for name, values in seconds.items():
        result[f"{name}_cpu_s"] = round(statistics.median(values), 3)
        result[f"{name}_over_bare_python"] = [round(value / one, 2) for value, one in zip(values, bare, strict=True)]
    if not arguments.no_run:
        result["first_reward_wall_s"] = round(seconds_to_first_reward(), 2)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
