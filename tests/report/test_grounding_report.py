"""What the report draws of a run whose reward checks programs without tests."""

import csv

from rltf.report.compare.settings import group_into_rows
from rltf.report.read.run import read_run
from rltf.report.sections.metrics import grounding_charts


def run_folder(folder, metrics):
    folder.mkdir()
    (folder / "summary.json").write_text('{"status": "running", "benchmark": "mini"}')
    (folder / "config.yaml").write_text("seed: 1\n")
    rows = [{"phase": "rl", "iteration": i, "step": i, **dict.fromkeys(metrics, 0.5)} for i in range(3)]
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return read_run(folder)


def titles(run):
    return [chart.title for chart in grounding_charts(group_into_rows([run])[0]) if chart is not None]


def test_a_run_with_grounding_has_its_charts_and_another_none(tmp_path):
    checks = ["reward/grounding/clean", "reward/grounding/violated/syntax"]
    assert titles(run_folder(tmp_path / "a", checks)) == [
        "Programs without a hard violation",
        "Programs that violate a check",
    ]
    compared = [*checks, "reward/grounding/pair_accuracy", "reward/grounding/difference"]
    assert len(titles(run_folder(tmp_path / "b", compared))) == 4
    assert titles(run_folder(tmp_path / "c", ["rollout/reward_mean"])) == []
