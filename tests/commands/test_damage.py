"""Commands that are refused leave the run as it was, and it goes on afterwards."""

import fork_server
import pytest

from rltf.runs.record import read_overrides

TINY = ("debug=default", "report=false", "callbacks.progress=null")
TINY += ("benchmark.sizes={train: 20, validation: 4, test: 6}",)


def contents(folder):
    """Every file but the log, where lines are added."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "train.log"]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = fork_server.run("train.py", *TINY, f"hydra.run.dir={folder}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["resume=RUN", "optimizer.lr=1e-2"], "optimizer.lr is 0.01 and was 0.0003"),
        ([*TINY, "seed=2", "hydra.run.dir=RUN"], "holds a run already: resume="),
        (["resume=RUN", "rollouts.lag=2"], "rollouts.lag is 2"),
        (["resume=RUN", "generation.sampler.max_rows=-1"], "max_rows is -1"),
        (["resume=RUN", "paths.root=x", "+callbacks.mine={_target_: rltf.nothing}"], "callbacks.mine"),
    ],
)
def test_a_refused_command_changes_no_file(run, arguments, sentence):
    before = contents(run)
    done = fork_server.run("train.py", *(argument.replace("RUN", str(run)) for argument in arguments))
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert contents(run) == before


def test_a_run_goes_on_after_refusals_whatever_hydras_record_says(run):
    (run / ".hydra" / "overrides.yaml").write_text("- seed=7\n")
    done = fork_server.run("train.py", f"resume={run}", "trainer.max_epochs=3")
    assert done.returncode == 0, done.stderr
    assert "trainer.max_epochs=3" in (run / "overrides.yaml").read_text()
    assert "resume=" not in (run / "overrides.yaml").read_text()


def test_two_runs_of_one_second_have_folders_of_their_own(tmp_path):
    starts = [fork_server.start("train.py", *TINY, f"seed={seed}", f"paths.root={tmp_path}") for seed in (1, 2)]
    ends = [start.communicate(800) for start in starts]
    assert [start.returncode for start in starts] == [0, 0], ends
    folders = sorted(path.parent for path in tmp_path.glob("*/*/summary.json"))
    assert len(folders) == 2
    seeds = {override for folder in folders for override in read_overrides(folder) if override.startswith("seed=")}
    assert seeds == {"seed=1", "seed=2"}
