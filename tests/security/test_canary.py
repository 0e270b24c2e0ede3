"""Secrets of the environment reach neither the sandbox nor anything that a run writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from spy import PROGRAM

ROOT = Path(__file__).parents[2]
CANARY = "canary" + "0123456789abcdef" * 2 + "00"
SECRETS = {"WANDB_API_KEY": CANARY, "HF_TOKEN": f"hf_{CANARY}", "DATABASE_PASSWORD": CANARY}
SHOWS = "assert secrets(True)"
"""Has the program raise what it sees: the message is kept with the verdict."""


SETUP = "import os\nassert 'canary' not in repr(os.environ)"


@pytest.fixture
def problems(tmp_path):
    rows = [
        {"task_id": number, "text": f"task {number}", "code": f"def secrets(show): return '{number}'"}
        | {"test_list": ["assert secrets() == 0", SHOWS], "test_setup_code": SETUP}
        for number in (*range(11, 15), *range(511, 515), *range(601, 609))
    ]  # fmt: skip
    path = tmp_path / "mbpp.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_spy_finds_secrets_where_it_is_not_shut_in():
    code = f"{PROGRAM}\nprint(secrets())"
    environment = {**os.environ, **SECRETS}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) >= len(SECRETS)


@pytest.mark.slow
def test_secrets_are_in_no_file_of_a_run_and_in_no_sandbox(tmp_path, problems):
    run, netrc = tmp_path / "run", tmp_path / "netrc"
    netrc.write_text(f"machine api.wandb.ai\n  login user\n  password {CANARY}\n")
    options = [
        "debug=default",
        "callbacks.progress=null",
        "callbacks.rollout_writer.table_every=1",
        f"hydra.run.dir={run}",
    ]
    options += ["logger.wandb={_target_: rltf.loggers.wandb.wandb_logger, mode: offline}", "reference=true"]
    options += ["benchmark=mbpp", f"benchmark.path={problems}", "benchmark.keep_constant=true"]
    options += ["trusted=[rltf,lightning,spy]", "generation.sampler._target_=spy.Spy"]
    options += ["generation.sampling.max_new_tokens=1000", "warmup.steps=0", "algorithm.mix.supervised=null"]
    options += ["evaluation.ks=[1]"]
    environment = {**os.environ, **SECRETS, "OMP_NUM_THREADS": "1", "NETRC": str(netrc)}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), str(ROOT)])
    command = [sys.executable, str(ROOT / "train.py"), *options]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr
    assert "canary" not in done.stdout + done.stderr

    records = [json.loads(line) for line in (run / "rollouts.jsonl").read_text().splitlines()]
    assert len(records) == 4
    assert all(record["program"] == PROGRAM for record in records)
    assert all(record["passed"] == 1 for record in records), "secrets() == 0"
    assert all("seen: {" in record["error"]["message"] for record in records), "what the program saw was kept"

    files = [path for path in run.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"config.yaml", "summary.json", "metrics.csv", "evaluation.json", "report.html", "last.ckpt"} <= names
    assert any(name.endswith(".wandb") for name in names), "an offline run of W&B"
    leaks = [str(path.relative_to(run)) for path in files if CANARY[:14].encode() in path.read_bytes()]
    assert leaks == []
