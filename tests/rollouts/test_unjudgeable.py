"""Programs that could not be judged: no reward and no blame, counted, and part of no comparison."""

import json
import logging
from types import SimpleNamespace

import pytest
from judged_programs import PASSED, PROBLEMS, REASON, UNKNOWN, WRONG, pending, pipeline_of

from rltf.callbacks.generation import GenerationCallback
from rltf.callbacks.progress import Progress
from rltf.callbacks.rollout_writer import RolloutWriter
from rltf.metrics.evaluation import Evaluation
from rltf.rollouts.buffer import RolloutBuffer
from rltf.rollouts.groups import PendingRollouts
from rltf.types import Sampling


class Listener:
    """Keeps what a critic or a curriculum is shown."""

    kind = "outcome"

    def __init__(self):
        self.seen = []

    def add_predictions(self, rollouts):
        self.seen += rollouts
        return list(rollouts)

    def update(self, problem, rollouts):
        assert rollouts
        self.seen += rollouts

    def metrics(self):
        return {}


def test_the_baseline_of_a_group_is_the_mean_of_the_others():
    pipeline = pipeline_of()
    [group] = pipeline.collect_rollouts(pending([PASSED, UNKNOWN, WRONG, WRONG]))
    assert [r.program.draw for r in group] == [0, 2, 3]
    mean = (1.0 - 0.3 - 0.3) / 3
    assert [r.baseline for r in group] == pytest.approx([mean] * 3)
    assert [r.advantage for r in group] == pytest.approx([1.0 - mean, -0.3 - mean, -0.3 - mean])
    [unknown] = pipeline.unjudgeable
    assert (unknown.program.draw, unknown.credits, unknown.reward, unknown.advantage) == (1, (), 0.0, 0.0)
    assert unknown.verdict.error == REASON


@pytest.mark.parametrize(
    ("baseline", "outcomes", "greedy", "baselines"),
    [
        ("leave_one_out", [PASSED, UNKNOWN, WRONG], False, [-0.3, 1.0]),
        ("leave_one_out", [PASSED, UNKNOWN], False, [1.0]),  # nobody is left to compare it with
        ("greedy_latest", [WRONG, PASSED, UNKNOWN], True, [-0.3, -0.3]),
        ("greedy_latest", [UNKNOWN, PASSED, WRONG], True, [0.35, 0.35]),  # the mean, without the greedy program
        ("best_so_far", [UNKNOWN, PASSED, WRONG], True, [0.35, 0.35]),
        ("group_mean", [UNKNOWN, UNKNOWN], False, []),
    ],
)
def test_every_baseline_does_without_them(baseline, outcomes, greedy, baselines):
    [group] = pipeline_of(baseline).collect_rollouts(pending(outcomes, greedy=greedy))
    assert [r.baseline for r in group] == pytest.approx(baselines)


def test_a_group_that_came_without_its_greedy_program_is_an_error_all_the_same():
    with pytest.raises(ValueError, match="came without its greedy program"):
        pipeline_of("greedy_latest").collect_rollouts(pending([PASSED, WRONG]))


def test_critics_and_curricula_never_see_them():
    critic, curriculum = Listener(), Listener()
    pipeline = pipeline_of(critic=critic, curriculum=curriculum)
    groups = pipeline.collect_rollouts(pending([PASSED, UNKNOWN], [UNKNOWN, UNKNOWN]))
    assert [len(group) for group in groups] == [1, 0]
    for listener in (critic, curriculum):
        assert [r.verdict.outcome for r in listener.seen] == [PASSED]


def test_the_first_of_them_are_told_once(caplog):
    pipeline = pipeline_of()
    with caplog.at_level(logging.WARNING, "rltf"):
        pipeline.collect_rollouts(pending([PASSED, WRONG]))
        assert not caplog.messages
        pipeline.collect_rollouts(pending([PASSED, WRONG], [UNKNOWN, UNKNOWN]))
        pipeline.collect_verdicts(pending([UNKNOWN]))
    [message] = caplog.messages
    assert message.startswith("2 of 4 programs could not be judged, such as one of problem b (check is not defined)")


def test_they_are_in_the_file_and_the_metrics_but_not_in_the_buffer(tmp_path, monkeypatch):
    pipeline, buffer, rows = pipeline_of(), RolloutBuffer(), []
    data = SimpleNamespace(pipeline=pipeline, buffer=buffer, train_problems=PROBLEMS)
    module = SimpleNamespace(steps=3, log_row=rows.append)
    generation, writer, progress = GenerationCallback(pipeline, Sampling(), 2, 2, 0, 0), RolloutWriter(0), Progress()
    for name, value in (("data", data), ("module", module), ("folder", tmp_path)):
        for callback in (GenerationCallback, RolloutWriter, Progress):
            monkeypatch.setattr(callback, name, value)
    monkeypatch.setattr(Progress, "_show", lambda self, trainer: None)
    trainer = SimpleNamespace(
        callbacks=[writer, progress], is_global_zero=True, world_size=1, current_epoch=0, loggers=[]
    )
    generation._collect(pending([PASSED, UNKNOWN], [WRONG, UNKNOWN]), trainer)
    assert [r.verdict.outcome for r in buffer] == [PASSED, WRONG]
    records = [json.loads(line) for line in (tmp_path / "rollouts.jsonl").read_text().splitlines()]
    assert [record["outcome"] for record in records] == ["passed", "wrong_answer", "unjudgeable", "unjudgeable"]
    assert (records[2]["error"]["message"], records[2]["reward"]) == ("check is not defined", 0.0)
    assert records[2]["credits"] == []
    assert records[2]["failed"] == {"number": 1, "test": "assert f(1) == 2"}
    assert rows[0]["rollout/outcome/unjudgeable"] == 0.5
    assert rows[0]["rollout/reward_mean"] == pytest.approx(0.35)
    assert progress._figures.endswith("(2 more could not be judged)")
    generation._collect(pending([PASSED, WRONG]), trainer)  # the next iteration counts its own
    assert "rollout/outcome/unjudgeable" not in rows[1]
    assert "could not be judged" not in progress._figures


def test_an_evaluation_counts_them_as_not_passed_and_says_how_many():
    evaluation = Evaluation([1])
    [(problem, programs, futures)] = pending([PASSED, UNKNOWN, UNKNOWN, PASSED]).groups
    evaluation.update(problem, programs, [future.result() for future in futures])
    result = evaluation.compute()
    assert result.pass_at_k[1] == 0.5
    assert result.outcomes() == {"unjudgeable": 2, "passed": 2}
    assert result.metrics()["outcome/unjudgeable"] == 0.5


def test_a_checkpoint_keeps_them():
    restored = PendingRollouts.restore(pending([UNKNOWN, PASSED]).state_dict(), {p.id: p for p in PROBLEMS})
    verdicts = [future.result() for future in restored.groups[0][2]]
    assert [(v.outcome, v.error) for v in verdicts] == [(UNKNOWN, REASON), (PASSED, None)]
