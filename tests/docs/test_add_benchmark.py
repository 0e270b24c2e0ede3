"""What the page on benchmarks says is executed, down to a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from pages import ROOT


def test_the_pages_own_test_passes(written, run_tests):
    assert "5 passed" in run_tests(written("add_benchmark.md"))


def test_a_policy_trains_on_the_benchmark(written):
    folder = written("add_benchmark.md")
    command = [sys.executable, str(ROOT / "train.py"), "--config-dir", str(folder / "configs"), "benchmark=katas"]
    command += [
        "trusted=[rltf,lightning,mine]",
        f"benchmark.path={folder / 'katas.jsonl'}",
        "debug=default",
    ]
    command += ["executor.workers=2", "report=false", f"hydra.run.dir={folder / 'run'}"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((folder / "run" / "summary.json").read_text("utf-8"))
    assert (summary["benchmark"], summary["programs_judged"] > 0) == ("katas", True)
    problems = {json.loads(line)["problem_id"] for line in (folder / "run" / "rollouts.jsonl").read_text().splitlines()}
    assert problems <= {"katas/double", "katas/largest", "katas/initials"}
