"""A search with optuna: failed trials are failed trials, and it goes on where it was stopped."""

import json

import pytest
from omegaconf import OmegaConf

optuna = pytest.importorskip("optuna")
pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")

from rltf.commands.search import ResumableSearch  # noqa: E402
from rltf.runs.folder import FolderRefused  # noqa: E402


class Launcher:
    """Runs no job: its number decides how it ends."""

    def __init__(self, ends):
        self.ends, self.jobs = ends, []

    def launch(self, overrides, initial_job_idx):
        returns = []
        for number, job in enumerate(overrides, initial_job_idx):
            self.jobs.append((number, job[0]))
            end = self.ends.get(number, float(number))
            if isinstance(end, BaseException):
                raise end
            returns.append(OmegaConf.create({"return_value": end}))
        return returns


def search(folder, ends, trials, *arguments, n_jobs=1, seed=1):
    sampler = optuna.samplers.TPESampler(seed=seed)
    params = OmegaConf.create({"optimizer.lr": "tag(log, interval(1e-5, 1e-3))"})
    it = ResumableSearch(sampler, "maximize", None, "rltf", trials, n_jobs, 1.0, None, None, params)
    it.config = OmegaConf.create({"hydra": {"sweep": {"dir": str(folder)}}})
    it.sweep_dir, it.hydra_context, it.launcher = str(folder), object(), Launcher(ends)
    it.sweep(list(arguments))
    return it.launcher.jobs, json.loads((folder / "trials.json").read_text())


def states(trials):
    return [trial["state"] for trial in trials]


def test_a_job_without_a_value_is_a_failed_trial_and_the_search_goes_on(tmp_path):
    jobs, trials = search(tmp_path, {1: None}, 3)
    assert [number for number, _ in jobs] == [0, 1, 2]
    assert states(trials) == ["COMPLETE", "FAIL", "COMPLETE"]
    assert OmegaConf.load(tmp_path / "optimization_results.yaml").best_value == 2.0


def test_a_search_in_which_every_trial_fails_ends_like_any(tmp_path):
    _, trials = search(tmp_path, {0: None, 1: None}, 2)
    assert states(trials) == ["FAIL", "FAIL"]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_that_was_stopped_goes_on_with_the_trials_it_was_in(tmp_path, n_jobs):
    with pytest.raises(SystemExit):
        search(tmp_path, {3: SystemExit(143)}, 6, n_jobs=n_jobs)
    interrupted = json.loads((tmp_path / "trials.json").read_text())
    jobs, trials = search(tmp_path, {}, 6, n_jobs=n_jobs)
    done = 3 if n_jobs == 1 else 2  # a batch of two is told when both have ended
    assert [number for number, _ in jobs] == list(range(done, 6))
    for number, override in jobs[: len(interrupted) - done]:
        assert override == f"optimizer.lr={interrupted[number]['params']['optimizer.lr']}"
    assert states(trials) == ["COMPLETE"] * 6
    assert [trial["params"] for trial in trials[:4]] == [trial["params"] for trial in interrupted[:4]]
    assert len({trial["params"]["optimizer.lr"] for trial in trials}) == 6, "a seed does not propose values twice"
    assert search(tmp_path, {}, 6)[0] == []


def test_another_option_is_another_search(tmp_path):
    search(tmp_path, {}, 1, "warmup.lr=0.1", "logger=none")
    before = (tmp_path / "trials.json").read_bytes()
    with pytest.raises(FolderRefused, match=r"holds another search: warmup.lr is 0.2 and was 0.1 there"):
        search(tmp_path, {}, 2, "warmup.lr=0.2", "logger=csv")
    assert (tmp_path / "trials.json").read_bytes() == before
    assert len(search(tmp_path, {}, 2, "warmup.lr=0.1", "logger=csv")[0]) == 1
