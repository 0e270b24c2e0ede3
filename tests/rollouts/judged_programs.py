"""Programs of two problems whose verdicts are given, and a pipeline that makes rollouts of them."""

from __future__ import annotations

from concurrent.futures import Future

from rltf.algorithms.advantages import Advantages
from rltf.rewards.base import RewardStack
from rltf.rewards.coarse import Coarse
from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.groups import PendingRollouts
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import AssertTest, Category, ErrorReport, FinishReason, Outcome, Problem, Program, TestResult, Verdict

PROBLEMS = [Problem(name, "", (AssertTest("assert f(1) == 2"),)) for name in "ab"]
REASON = ErrorReport("Unjudgeable", "check is not defined", None, None, Category.IGNORE)
PASSED, WRONG, UNKNOWN = Outcome.PASSED, Outcome.WRONG_ANSWER, Outcome.UNJUDGEABLE


def judged(outcome):
    error = REASON if outcome is UNKNOWN else None
    result = TestResult(outcome, 0.0, error)
    return Verdict(outcome, int(outcome is PASSED), 1, error, (result,))


def pending(*outcomes_of_problems, greedy=False):
    """The programs of each problem, with verdicts of these outcomes."""
    groups = []
    for problem, outcomes in zip(PROBLEMS, outcomes_of_problems, strict=False):
        programs, futures = [], []
        for draw, outcome in enumerate(outcomes, start=-1 if greedy else 0):
            programs.append(
                Program(problem.id, str(draw), (1,), (2,), ((0, 1),), (-0.5,), FinishReason.EOS, 0, draw, draw == -1)
            )
            future = Future()
            future.set_result(judged(outcome))
            futures.append(future)
        groups.append((problem, tuple(programs), tuple(futures)))
    return PendingRollouts(tuple(groups))


def pipeline_of(baseline="group_mean", normalize="none", **parts):
    advantages = Advantages(baseline, normalize)
    return RolloutPipeline(None, None, None, None, RewardStack({"coarse": Coarse()}), advantages, PhaseClock(), **parts)
