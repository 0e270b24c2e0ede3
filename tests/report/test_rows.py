"""Which runs are one row, what rows are called, and what is never averaged."""

from __future__ import annotations

import json
import re

import pytest

from rltf.report.compare.settings import group_by_benchmark, group_into_rows
from rltf.report.read.folders import read_runs, run_folders
from rltf.report.read.run import read_run
from rltf.report.sections.overview import commands


def sweep(write_run, tmp_path, *jobs):
    folders = [write_run(tmp_path / f"{i}", iterations=1, programs=2, **job) for i, job in enumerate(jobs)]
    return [read_run(folder) for folder in folders]


def shape(rows):
    return {row.label: row.seeds for row in rows}


def test_runs_that_differ_in_their_seed_are_one_row(write_run, tmp_path):
    jobs = [{"reward": reward, "seed": seed} for reward in ("coarse", "fine") for seed in (1, 2)]
    rows, said = group_into_rows(sweep(write_run, tmp_path, *jobs))
    assert shape(rows) == {"reward=coarse": (1, 2), "reward=fine": (1, 2)}
    assert said == []


def test_a_row_that_sets_nothing_is_called_by_what_the_others_set(write_run, tmp_path):
    runs = sweep(write_run, tmp_path, {"reward": "coarse", "seed": 1}, {"reward": "fine", "seed": 1})
    (runs[1].folder / ".hydra" / "overrides.yaml").write_text("- seed=1\n")
    rows, _ = group_into_rows([runs[0], read_run(runs[1].folder)])
    assert [row.label for row in rows] == ["reward=coarse", "reward=fine"]


def test_without_a_record_of_the_config_the_summary_tells_rows_apart(write_run, tmp_path):
    runs = sweep(write_run, tmp_path, {"reward": "coarse", "seed": 1}, {"reward": "fine", "seed": 1})
    for run in runs:
        for file in (run.folder / ".hydra").iterdir():
            file.unlink()
    rows, _ = group_into_rows([read_run(run.folder) for run in runs])
    assert [row.label for row in rows] == ["reward=coarse", "reward=fine"]


def test_a_config_key_that_nobody_typed_tells_rows_apart_too(write_run, tmp_path):
    runs = sweep(write_run, tmp_path, {"seed": 1}, {"seed": 2})
    config = runs[1].folder / ".hydra" / "config.yaml"
    config.write_text(config.read_text().replace("lr: 0.1", "lr: 0.2"))
    rows, _ = group_into_rows([read_run(run.folder) for run in runs])
    assert [row.label for row in rows] == ["lr=0.1", "lr=0.2"]


def test_by_names_what_makes_a_row_and_says_what_else_differs(write_run, tmp_path):
    runs = sweep(write_run, tmp_path, {"reward": "coarse", "seed": 1}, {"reward": "fine", "seed": 2})
    rows, said = group_into_rows(runs, by=["model"])
    assert shape(rows) == {"model=tiny_t5": (1, 2)}
    assert said == [
        "Row model=tiny_t5: its runs differ in reward.terms.coarse._target_, reward.terms.fine._target_, too."
    ]
    with pytest.raises(ValueError, match=re.escape("--by granularity: no run has recorded such")):
        group_into_rows(runs, by=["granularity"])


def test_a_seed_that_was_run_twice_counts_once_and_that_is_said(write_run, tmp_path):
    runs = sweep(write_run, tmp_path, {"seed": 1}, {"seed": 1}, {"seed": 2})
    rows, said = group_into_rows(runs)
    assert [[run.folder.name for run in row.runs] for row in rows] == [["1", "2"]]
    assert said == ["Seed 1 was run twice: 1 counts, 0 does not."]


def test_a_finished_run_counts_before_a_later_one_that_failed(write_run, tmp_path):
    runs = sweep(write_run, tmp_path, {"seed": 1}, {"seed": 1})
    (runs[1].folder / "summary.json").write_text(json.dumps({"status": "failed", "benchmark": "mini", "seed": 1}))
    rows, _ = group_into_rows([runs[0], read_run(runs[1].folder)])
    assert [run.folder.name for run in rows[0].runs] == ["0"]


def test_runs_of_different_held_out_problems_are_never_in_one_report(write_run, tmp_path):
    runs = sweep(write_run, tmp_path, {"seed": 1}, {"seed": 2}, {"seed": 1, "problems": "other"}, {"seed": 3})
    (runs[3].folder / "evaluation.json").unlink()
    summary = json.loads((runs[1].folder / "summary.json").read_text())
    (runs[1].folder / "summary.json").write_text(json.dumps(summary | {"benchmark": "mbpp"}))
    groups = group_by_benchmark([read_run(run.folder) for run in runs])
    assert {name: [run.folder.name for run in some] for name, some in groups.items()} == {
        "mini (1)": ["0"],
        "mbpp": ["1"],
        "mini (2)": ["2"],
        "mini (problems unknown)": ["3"],
    }


def test_a_run_without_evaluation_belongs_to_the_only_problems_of_its_name(write_run, tmp_path):
    runs = sweep(write_run, tmp_path, {"seed": 1}, {"seed": 2})
    (runs[1].folder / "evaluation.json").unlink()
    assert list(group_by_benchmark([read_run(run.folder) for run in runs])) == ["mini"]


def test_jobs_of_a_multirun_come_by_their_numbers_and_empty_ones_are_named(write_run, tmp_path):
    for job in ("10_b", "9_a"):
        write_run(tmp_path / "sweep" / job, iterations=1, programs=1)
    (tmp_path / "sweep" / "11_c" / ".hydra").mkdir(parents=True)
    (tmp_path / "sweep" / "notes").mkdir()
    folders = run_folders(tmp_path / "sweep")
    assert [folder.name for folder in folders] == ["9_a", "10_b", "11_c"]
    runs, said = read_runs(folders)
    assert [run.folder.name for run in runs] == ["9_a", "10_b"]
    [sentence] = said.values()
    assert "11_c holds none of metrics.csv, rollouts.jsonl, summary.json" in sentence


def test_the_command_of_a_sweep_is_put_together_again(write_run, tmp_path):
    jobs = [{"reward": reward, "seed": seed} for reward in ("coarse", "fine") for seed in (1, 2)]
    runs = sweep(write_run, tmp_path, *jobs)
    assert commands(group_into_rows(runs)[0]) == ("python train.py -m reward=coarse,fine seed=1,2",)
    assert commands(group_into_rows(runs[:1])[0]) == ("python train.py reward=coarse seed=1",)
    # three of the four combinations are no multirun
    apart = ("python train.py reward=coarse seed=1", "python train.py reward=fine seed=1")
    assert commands(group_into_rows(runs[:3])[0]) == apart
