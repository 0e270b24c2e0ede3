"""What the report draws of a run with the contrast beside RL."""

import csv

from rltf.report.compare.settings import group_into_rows
from rltf.report.read.run import read_run
from rltf.report.sections.metrics import policy_charts

METRICS = ("loss/total", "loss/rl", "loss/auxiliary", "auxiliary/accuracy", "auxiliary/chance")


def charts(folder, metrics):
    folder.mkdir()
    (folder / "summary.json").write_text('{"status": "running", "benchmark": "mini"}')
    (folder / "config.yaml").write_text("seed: 1\n")
    rows = [{"phase": "rl", "iteration": i, "step": i, **dict.fromkeys(metrics, 0.5)} for i in range(3)]
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    drawn = policy_charts(group_into_rows([read_run(folder)])[0])
    return {chart.title for chart in drawn if chart is not None}


def test_a_run_with_the_contrast_has_its_chart_and_another_has_none(tmp_path):
    title = "Anchors whose own positive is nearest (contrast)"
    assert title in charts(tmp_path / "with", METRICS)
    assert title not in charts(tmp_path / "without", METRICS[:2])
