"""The head of a run's page, and the task that each program is shown with."""

from __future__ import annotations

import json
import random

from rltf.report.compare.settings import group_into_rows
from rltf.report.contents import build_document
from rltf.report.read.run import read_run
from rltf.report.write.html import render_page
from rltf.report.write.markdown import program
from rltf.runs.defaults import differences
from rltf.runs.rollouts_file import rollout_record


def document(folder):
    rows, notices = group_into_rows([read_run(folder)])
    return build_document(rows, notices, folder)


def write_config(folder, text, overrides=""):
    (folder / ".hydra" / "config.yaml").write_text(text)
    (folder / ".hydra" / "overrides.yaml").write_text(overrides)


def test_keys_that_differ_from_the_defaults_are_listed_with_both_values(write_run):
    folder = write_run()
    write_config(folder, "seed: 7\nreport: false\nevaluation: {samples: 10, split: valid}\npaths: {root: x}\nmine: 1\n")
    settings = document(folder).settings
    assert settings.head == ("key", "this run", "default")
    assert set(settings.body) == {
        ("seed", "7", "1"), ("report", "false", "true"), ("evaluation.split", "valid", "test"), ("mine", "1", ""),
    }  # fmt: skip
    assert "Keys that differ from the defaults: 4" in render_page(
        document(folder), {c.name: "" for c in document(folder).charts}
    )


def test_a_run_by_default_says_so(write_run):
    folder = write_run()
    write_config(folder, "seed: 1\n")
    assert document(folder).settings is None
    assert document(folder).commands == ("python train.py",)


def test_a_config_without_a_record_is_compared_with_nothing(write_run):
    folder = write_run()
    (folder / ".hydra" / "config.yaml").unlink()
    assert document(folder).settings is None


def test_an_interpolation_is_no_difference():
    assert differences({"model.seed": "${seed}", "seed": 1}, "train") == {}


def test_the_date_of_the_start_is_told(write_run):
    folder = write_run()
    summary = json.loads((folder / "summary.json").read_text()) | {"started": "2026-11-29T10:05:59+01:00"}
    (folder / "summary.json").write_text(json.dumps(summary))
    assert ("started", "2026-11-29 10:05") in document(folder).facts


def test_a_program_is_shown_with_its_task_which_is_text(write_run, make_rollout):
    folder = write_run()
    record = rollout_record(make_rollout(random.Random(3), 0.5, 1, 0), 0, (), "Add <b>two</b> numbers.")
    assert record["task"] == "Add <b>two</b> numbers."
    (folder / "rollouts.jsonl").write_text(json.dumps(record) + "\n")
    doc = document(folder)
    page = render_page(doc, {chart.name: "" for chart in doc.charts})
    assert "<summary>task</summary><p>Add &lt;b&gt;two&lt;/b&gt; numbers.</p>" in page
    assert "> Add \\<b\\>two\\</b\\> numbers." in program(doc.gallery[0])


def test_a_long_task_is_cut_and_a_run_of_before_has_none(write_run, make_rollout):
    assert rollout_record(make_rollout(random.Random(3), 0.5, 1, 0), 0, (), "x" * 5000)["task"] == "x" * 2000 + " …"
    folder = write_run()
    lines = [json.loads(line) for line in (folder / "rollouts.jsonl").read_text().splitlines()]
    for line in lines:
        del line["task"]
    (folder / "rollouts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert {example.task for example in document(folder).gallery} == {""}
