"""The example of a reward as a package passes its tests and trains; the batch scripts start what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from pages import ROOT

from rltf.setup.instantiate import build

EXAMPLE = ROOT / "examples" / "my_reward"
SRUN = '#!/bin/bash\necho "srun $*" >> "$SRUN_LOG"\nexec "$@"\n'
"""What stands in for SLURM's: it starts the command once, here."""


def start(command, cwd, **env):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(EXAMPLE)]), **env}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=800)


def test_its_own_tests_pass():
    done = start([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"], EXAMPLE)
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def test_it_is_built_beside_the_terms_that_come_with_rltf(composed, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLE))
    search_path = f"hydra.searchpath=[file://{EXAMPLE}/configs]"
    cfg = composed("train", "reward=coarse+bare_except", search_path, "trusted=[rltf,lightning,my_reward]")
    assert list(build(cfg, "reward").terms) == ["coarse", "bare_except"]


@pytest.mark.slow
def test_a_policy_trains_with_it_by_the_command_of_its_page(tmp_path):
    [line] = [line for line in (EXAMPLE / "README.md").read_text().splitlines() if line.startswith("rltf train")]
    arguments = [word.strip("'") for word in line.split()[1:]]
    command = [sys.executable, "-m", "rltf.commands.main", *arguments, "logger=none", f"hydra.run.dir={tmp_path}/run"]
    done = start([*command, "report=false"], EXAMPLE)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["reward"] == "coarse+bare_except"


@pytest.mark.slow
@pytest.mark.parametrize(("script", "run"), [("train.sbatch", "run"), ("seeds.sbatch", "run/3")])
def test_a_batch_script_trains_and_goes_on_when_it_is_submitted_again(script, run, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").write_text(SRUN)
    (tmp_path / "bin" / "srun").chmod(0o755)
    env = {
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "SRUN_LOG": str(tmp_path / "srun.log"),
        "RUN": str(tmp_path / "run"), "RUNS": str(tmp_path / "run"), "PYTHON": sys.executable,
        "SLURM_JOB_NAME": "bash", "SLURM_NNODES": "1", "SLURM_NTASKS_PER_NODE": "1", "SLURM_ARRAY_TASK_ID": "3",
    }  # fmt: skip
    options = ["debug=default", "logger=none", "report=false"]
    options += ["trainer.accelerator=cpu"] if script == "train.sbatch" else []
    command = ["bash", str(ROOT / "examples" / "slurm" / script)]
    done = start([*command, *options], ROOT, **env)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / run / "summary.json").read_text())
    assert summary["status"] == "finished"
    assert start([*command, *options], ROOT, **env).returncode == 0
    first, again = (tmp_path / "srun.log").read_text().splitlines()
    assert f"hydra.run.dir={tmp_path / run}" in first
    assert again.endswith(f"train.py resume={tmp_path / run}")
    if script == "seeds.sbatch":
        assert summary["seed"] == 3
        assert (tmp_path / "run" / "report.html").exists()
