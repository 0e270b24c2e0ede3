"""Sweeps: every recipe composes, a job that fails does not stop the others, the same command does only what is left."""

import json
from itertools import product
from pathlib import Path

import fork_server
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from rltf.runs.resume import read_config

ROOT = Path(__file__).parents[2]
SWEEPS = sorted({path.stem for path in (ROOT / "configs" / "sweep").glob("*.yaml")} - {"search"})


def parameters(name):
    params = OmegaConf.load(ROOT / "configs" / "sweep" / f"{name}.yaml").hydra.sweeper.params
    return {key: str(values).split(",") for key, values in params.items()}


@pytest.mark.parametrize("name", SWEEPS)
def test_every_job_of_a_sweep_composes_to_another_run(name):
    params = parameters(name)
    assert params.pop("seed") == ["1", "2", "3", "4", "5"]
    found = []
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        for values in product(*params.values()):
            overrides = [f"{key}={value}" for key, value in zip(params, values, strict=True)]
            for model in () if "model" in params else ("model=codet5_770m", "model=codegen_350m"):
                compose("train", [*overrides, model, "benchmark=apps", "paths.output_dir=unused"])
            cfg = compose("train", [*overrides, "paths.output_dir=unused"])
            found.append(OmegaConf.to_yaml(cfg, resolve=True))
    assert len(set(found)) == len(found) >= 2


def run(folder, *overrides):
    options = ["-m", "debug=default", "report=false", "callbacks.progress=null"]
    options += ["benchmark.sizes={train: 20, validation: 4, test: 6}", "hydra.sweep.dir=sweep"]
    return fork_server.run("train.py", *options, *overrides, cwd=folder)


def contents(sweep):
    files = [path for path in sweep.glob("*/**/*") if path.is_file()]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def test_a_job_that_fails_is_reported_and_done_again(tmp_path):
    jobs = "reward=coarse,coars,coarse+fine"
    missing = run(tmp_path, jobs)
    assert missing.returncode == 2  # no job can be composed from a name that is not known: found before any starts
    assert "reward=coars is not known" in missing.stderr

    rate = "optimizer.lr=1e-4,-1,2e-4"
    first = run(tmp_path, rate)
    assert first.returncode == 1
    assert "sweep/1_tiny_t5_coarse+fine+adaptive_rltf_group_seed1 failed: optimizer.lr is -1" in first.stderr
    assert "1 of 3 jobs did not finish" in first.stdout
    folders = sorted((tmp_path / "sweep").glob("*/summary.json"))
    summaries = [json.loads(path.read_text()) for path in folders]
    assert [summary["status"] for summary in summaries] == ["finished", "failed", "finished"]
    assert "warm_start" not in summaries[0]
    assert summaries[2]["warm_start"].startswith("the cache")  # a sweep warms up once a seed
    ages = [path.stat().st_mtime_ns for path in folders]

    names = {read_config(path.parent)["name"] for path in folders[::2]}
    prefix = "tiny_t5-coarse+fine+adaptive-rltf_group-seed1"
    assert names == {f"{prefix}-optimizer.lr=0.0001", f"{prefix}-optimizer.lr=0.0002"}

    before = contents(tmp_path / "sweep")
    other = run(tmp_path, rate, "warmup.lr=1e-2")
    assert other.returncode == 1
    assert other.stderr.count("stays as it is: warmup.lr is 0.01 and was 0.002 when this run began") == 2
    assert "2 of 3 jobs were refused" in other.stdout
    failed = folders[1].parent
    assert {p: v for p, v in contents(tmp_path / "sweep").items() if failed not in p.parents} == {
        p: v for p, v in before.items() if failed not in p.parents
    }

    again = run(tmp_path, rate)
    assert again.stdout.count("is done: skipped") == 2
    assert again.returncode == 1
    assert [path.stat().st_mtime_ns for path in folders][::2] == ages[::2]


@pytest.mark.parametrize(
    ("package", "options"),
    [
        pytest.param(
            *("hydra_plugins.hydra_joblib_launcher", ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=1,2")),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("hydra_plugins.hydra_submitit_launcher", ("hydra/launcher=submitit_local", "seed=1,2")),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("hydra_plugins.hydra_optuna_sweeper", ("+sweep=search", "hydra.sweeper.n_trials=2")),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_launchers_and_sweepers_of_hydra_work(tmp_path, package, options):
    pytest.importorskip(package)
    done = run(tmp_path, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    summaries = [json.loads(path.read_text()) for path in (tmp_path / "sweep").glob("*/summary.json")]
    assert [summary["status"] for summary in summaries] == ["finished", "finished"]
