"""A run that has collapsed stops early, with a reason, and stays stopped."""

import csv
import json

import pytest

from rltf.callbacks.stop_on_collapse import StopOnCollapse
from rltf.commands.train import train
from rltf.setup.instantiate import build

SMALL = ("debug=default", "report=false", "benchmark.sizes={train: 20, validation: 4, test: 6}")
SMALL += ("warmup.steps=0", "trainer.max_epochs=6", "evaluation.problems=2")


def rows(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_metric_that_stays_low_ends_the_run(composed, caplog):
    """Entropy is at most log(vocabulary) nats: below 100 from the first iteration on."""
    collapse = "callbacks.stop_on_collapse={iterations: 3, below: {policy/entropy: 100}}"
    result = train(composed("train", *SMALL, collapse, "callbacks.checkpoints.every=5"))
    summary = json.loads((result.folder / "summary.json").read_text())
    assert (summary["status"], summary["iterations"]) == ("finished", 3)
    assert summary["stopped_early"].startswith("policy/entropy was below 100 in 3 iterations, in the last one ")
    assert [r.message for r in caplog.records if "collapsed" in r.message] == [
        f"the run has collapsed and stops early: {summary['stopped_early']}"
    ]
    assert {row["iteration"] for row in rows(result.folder) if row["policy/entropy"]} == {"0", "1", "2"}
    again = train(composed("train", *SMALL, collapse, "callbacks.checkpoints.every=5", f"resume={result.folder}"))
    assert (again.summary["iterations"], again.summary["stopped_early"]) == (3, summary["stopped_early"])


def test_only_iterations_in_a_row_count():
    watch = StopOnCollapse({"a": 1.0}, 2)
    assert [watch._find_reason({"a": value}) for value in (0.5, 1.0, 0.5)] == [None] * 3
    assert watch._find_reason({"b": 0.0}) is None, "an iteration that does not log it does not count"
    resumed = StopOnCollapse({"a": 1.0}, 2)
    resumed.load_state_dict(watch.state_dict())
    assert resumed._find_reason({"a": 0.25}) == "a was below 1 in 2 iterations, in the last one 0.25"


def test_a_metric_that_is_not_logged_is_named(composed):
    with pytest.raises(
        ValueError, match=r"^callbacks.stop_on_collapse.below is {'policy/entrpy': 1}: .* policy/entropy,"
    ):
        train(composed("train", *SMALL, "callbacks.stop_on_collapse={iterations: 1, below: {policy/entrpy: 1}}"))


def test_a_bound_that_is_no_number_is_refused(composed):
    with pytest.raises(
        ValueError, match=r"^callbacks.stop_on_collapse.below.policy/entropy is 'low': expected a finite"
    ):
        build(composed("train", "callbacks.stop_on_collapse.below={policy/entropy: low}"), "callbacks.stop_on_collapse")
