"""What the report says of a critic, counted by hand."""

import json

import pytest

from rltf.report.compare.settings import group_into_rows
from rltf.report.contents import build_document
from rltf.report.draw.numbers import percent
from rltf.report.read.critic import CriticStats
from rltf.report.read.evaluation import STAGES
from rltf.report.read.rollouts import read_rollouts
from rltf.report.read.run import read_run
from rltf.report.sections.critic import critic_tables


def line(outcome, classes=None, greedy=False, iteration=0, **said):
    record = {"iteration": iteration, "outcome": outcome, "program": f"{outcome}{classes}{said}", "greedy": greedy}
    return {**record, "critic": {"tokens": [0.5], **({"classes": classes} if classes else {}), **said}}


def counted(*lines):
    stats = CriticStats()
    for record in lines:
        stats.add(record)
    return [table for table in critic_tables(stats, "All.") if table is not None]


def test_the_confusion_matrix_has_the_truth_in_rows_and_calibration_goes_by_tenths():
    confusion, calibration = counted(
        line("passed", [0.1, 0.1, 0.1, 0.7]),
        line("passed", [0.1, 0.1, 0.6, 0.2]),
        line("timeout", [0.1, 0.1, 0.1, 0.7]),
        line("passed", [0.0, 0.0, 0.0, 1.0]),
        line("passed", [1.0, 0.0, 0.0, 0.0], greedy=True),
        {"iteration": 0, "outcome": "passed", "program": "nobody spoke"},
    )
    assert confusion.head[2:] == tuple(f"predicted: {name}" for name in STAGES)
    assert confusion.body == (
        ("runtime error", "1", percent(0), percent(0), percent(0), percent(1)),
        ("passed", "3", percent(0), percent(0), percent(1 / 3), percent(2 / 3)),
    )
    assert [row[1:] for row in calibration.body] == [
        ("1", percent(0.2), percent(1)),
        ("2", percent(0.7), percent(0.5)),
        ("1", percent(1), percent(1)),
    ]


def test_values_are_compared_with_returns_in_parts_of_a_quarter():
    [values] = counted(
        line("passed", tokens=[0.1, 0.3], returns=[1.0, 0.5]),
        line("passed", tokens=[0.2], returns=[0.25]),
        line("timeout", tokens=[-0.1], returns=[-1.0]),
    )
    assert values.body == (
        ("-0.25 to +0.00", "1", "-0.100", "-1.000"),
        ("+0.00 to +0.25", "2", "+0.200", "+0.500"),
    )


def test_no_critic_no_tables():
    assert counted() == []


def test_the_second_half_of_a_run_counts_and_damaged_words_are_named_once(tmp_path):
    lines = [line("passed", [0.0, 0.0, 0.0, 1.0], iteration=i) for i in range(4)] + [line("passed", ["?"], iteration=3)]
    path = tmp_path / "rollouts.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    rollouts, notices = read_rollouts(path)
    assert rollouts.critic.confusion == {(3, 3): 2}
    assert any("rollouts.jsonl" in notice for notice in notices)


def titles(folder):
    rows, notices = group_into_rows([read_run(folder)])
    return {section.title: len(section.tables) for section in build_document(rows, notices, folder).sections}


@pytest.mark.parametrize(("said", "tables"), [({"classes": [0.1, 0.2, 0.3, 0.4]}, 2), ({"returns": [1.0]}, 1)])
def test_a_report_has_a_section_on_the_critic_where_there_is_one(write_run, said, tables):
    folder = write_run()
    assert "The critic" not in titles(folder)
    path = folder / "rollouts.jsonl"
    records = [{**json.loads(one), "critic": {"tokens": [0.5], **said}} for one in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    assert titles(folder)["The critic"] == tables
