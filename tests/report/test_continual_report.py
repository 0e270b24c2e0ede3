"""What the report says of runs with tasks."""

import json

from rltf.report.compare.settings import group_into_rows
from rltf.report.read.run import read_run
from rltf.report.sections.continual import continual_tables


def run_folder(folder, seed, matrix, memory=0, drift=(), lost=None):
    folder.mkdir()
    (folder / "summary.json").write_text('{"status": "running", "benchmark": "codetask_mini"}')
    (folder / ".hydra").mkdir()
    (folder / ".hydra" / "config.yaml").write_text(f"seed: {seed}\ntasks: {{memory: {memory}}}\n")
    record = {
        "tasks": ["a", "b"],
        "matrix": matrix,
        "forgetting": lost,
        "key_drift": list(drift),
        "problems": {"a": 10, "b": 5},
        "draws": {"a": 25, "b": 20},
    }
    (folder / "continual.json").write_text(json.dumps(record))
    return read_run(folder)


def tables(*runs):
    return continual_tables(group_into_rows(runs)[0])


def test_a_single_run_has_its_matrix_and_figures(tmp_path):
    drift = [{}, {"a": 0.125}]
    figures, matrix = tables(run_folder(tmp_path / "a", 1, [[0.8, 0.1], [0.5, 0.9]], drift=drift, lost=0.3))
    assert figures.body == (("1", "70.0 %", "30.0", "0.125"),)
    assert matrix.head == ("score of", "a", "b")
    assert matrix.body == (("after a", "80.0 %", "10.0 %"), ("after b", "50.0 %", "90.0 %"))
    assert "a 2.5, b 4" in matrix.note


def test_rows_are_means_over_seeds_with_intervals(tmp_path):
    runs = [
        run_folder(tmp_path / f"{memory}-{seed}", seed, [[0.8, 0], [0.5, 0.9]], memory, lost=lost)
        for memory, losses in ((0, (0.2, 0.3, 0.4)), (4, (0.1, 0.1, 0.1)))
        for seed, lost in enumerate(losses)
    ]
    figures = tables(*runs)[0]
    assert [row[1] for row in figures.body] == ["3", "3"]
    # 30 -+ 4.3027 * 10 / sqrt(3) and no spread at all
    assert [row[3] for row in figures.body] == ["30.0 [5.2, 54.8]", "10.0 [10.0, 10.0]"]


def test_a_run_that_is_going_on_or_has_no_tasks_has_no_table(tmp_path):
    assert tables(run_folder(tmp_path / "a", 1, [[0.8, 0.1]])) == []


def test_a_damaged_file_is_told_and_left_out(tmp_path):
    run = run_folder(tmp_path / "a", 1, [[0.8], [0.5, 0.9]])
    assert run.continual is None
    assert any("continual.json is damaged" in notice for notice in run.notices)
