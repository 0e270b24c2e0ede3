"""An evaluation has a report: pass@k, outcomes, errors, kinds of problems, programs with their tasks."""

from __future__ import annotations

import json

import pytest

from rltf.report.__main__ import main
from rltf.report.evaluation import build_evaluation
from rltf.report.read.results import read_evaluation


def entry(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


SEARCH = {
    "name": "best_of_n",
    "with": {"pass_at_k": {"1": entry(0.3)}, "n_at_k": {"1@4": entry(0.4)}},
    "without": {"pass_at_k": {"1": entry(0.25)}, "n_at_k": {"1@4": entry(0.25)}},
    "budget": {"tokens_per_problem": 1234.5},
}
RESULTS = {
    "policy": "outputs/first", "benchmark": "mini", "n": 4, "temperature": 0.8, "top_p": 1.0, "seed": 1, "problems": 5,
    "pass_at_k_interval": {"1": entry(0.25), "4": entry(0.6)}, "greedy_pass_at_1": 0.4,
    "outcomes": {"passed": 5, "wrong_answer": 10, "runtime_error": 5}, "errors": {"NameError": 4, "TypeError": 1},
    "by_difficulty": {"easy": {"1": 0.5}, "hard": {"1": 0.0}}, "by_tag": {"loop": {"1": 0.25}}, "inference": SEARCH,
}  # fmt: skip
SAMPLE = {
    "task_id": "mini/0/test/1", "task": "Return twice <n>.", "solution": "def f(n):\n    return m\n", "draw": 2,
    "outcome": "runtime_error", "passed": 0, "total": 3,
    "error": {"type": "NameError", "message": "m", "line": 2, "end_line": 2, "category": "line"},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "evaluation"
    path.mkdir()
    (path / "results.json").write_text(json.dumps(RESULTS))
    (path / "samples.jsonl").write_text(json.dumps(SAMPLE) + "\n{damaged\n" + json.dumps(SAMPLE) + "\n")
    (path / "overrides.yaml").write_text("- policy=outputs/first\n- evaluation.samples=4\n")
    (path / ".hydra").mkdir()
    (path / ".hydra" / "config.yaml").write_text(
        "policy: outputs/first\nseed: 1\nevaluation: {samples: 4, top_p: 1.0}\n"
    )
    return path


def test_its_page_has_the_numbers_of_results_json(folder):
    document = build_evaluation(read_evaluation(folder))
    assert document.title == "Evaluation: outputs/first, mini"
    assert document.commands == ("python eval.py policy=outputs/first evaluation.samples=4",)
    assert ("held-out pass@1", "25.0 %") in document.tiles
    tables = {section.title: section.tables for section in document.sections}
    assert tables["pass@k"][0].body == (
        ("pass@1", "25.0 % [15.0, 35.0]"), ("pass@4", "60.0 % [50.0, 70.0]"), ("greedy", "40.0 %"),
    )  # fmt: skip
    [outcomes] = tables["What became of the programs"]
    assert set(outcomes.body) == {
        ("passed", "5", "25.0 %"), ("wrong answer", "10", "50.0 %"), ("runtime error", "5", "25.0 %"),
    }  # fmt: skip
    [search] = tables["The search"]
    assert search.head == ("measure", "without", "with best_of_n")
    assert search.body[1] == ("1@4", "25.0 % [15.0, 35.0]", "40.0 % [30.0, 50.0]")


def test_keys_that_differ_from_the_defaults_of_eval_are_listed(folder):
    settings = build_evaluation(read_evaluation(folder)).settings
    assert ("evaluation.samples", "4", "10") in settings.body
    assert not [row for row in settings.body if row[0] in ("seed", "evaluation.top_p")]


def test_a_program_is_shown_once_with_its_task(folder):
    [example] = build_evaluation(read_evaluation(folder)).gallery
    assert (example.task, example.iteration, example.draw) == ("Return twice <n>.", None, 2)


@pytest.mark.parametrize("several", [False, True])
def test_the_command_takes_a_folder_of_eval_or_a_folder_of_them(folder, several, capsys):
    assert main([str(folder.parent if several else folder)]) == 0
    assert capsys.readouterr().out.split() == [str(folder / "report.html")]
    page = (folder / "report.html").read_text()
    assert "Return twice &lt;n&gt;." in page
    assert "NameError" in page
    assert (folder / "figures" / "heldout.pdf").exists()


def test_damaged_results_are_one_sentence(folder, capsys):
    (folder / "results.json").write_text("[1]")
    assert main([str(folder)]) == 2
    assert capsys.readouterr().err.endswith("expected what eval.py writes\n")
