"""Rewards of plain texts: what a model wrote and the tests of its problem in, one number each out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from rltf.rewards.adaptive import Adaptive
from rltf.rewards.binary import Binary
from rltf.rewards.coarse import Coarse
from rltf.rewards.pass_first import PassFirst
from rltf.types import Verdict
from rltf.validation import require

Kind = Literal["coarse", "adaptive", "pass_first", "binary"]


class AnswerJudge(Protocol):
    """What judges answers: `rltf.Judge`, `rltf.RemoteJudge`."""

    def judge_answers(self, answers: Sequence[str], tests: Sequence[Any]) -> list[Verdict]:
        """The verdicts on the programs in the answers, in their order."""
        ...


class VerdictReward(Protocol):
    """A reward that reads the verdict alone."""

    def value(self, verdict: Verdict) -> float:
        """Reward of a program with this verdict."""
        ...


KINDS: dict[str, type[Coarse | Adaptive | PassFirst | Binary]] = {
    "coarse": Coarse,
    "adaptive": Adaptive,
    "pass_first": PassFirst,
    "binary": Binary,
}
"""Name -> reward; what each pays stands in its class."""


def make(kind: str, **values: Any) -> VerdictReward:
    """The reward of a name.

    Args:
        kind: a key of `KINDS`.
        values: arguments of its class, e.g. `share_weight=0.2`.

    Raises:
        ValueError: an unknown name, or a value that makes no sense.

    >>> make("pass_first", share_weight=0.2)
    PassFirst(share_weight=0.2)
    """
    require("reward", kind, choices=tuple(KINDS))
    return KINDS[kind](**values)


def values(verdicts: Sequence[Verdict], reward: str | VerdictReward = "coarse") -> list[float | None]:
    """The reward of each program; None for one of which nothing is known (`unjudgeable`).

    Args:
        verdicts: of the programs.
        reward: a key of `KINDS`, or an object with the method `value`.

    >>> from rltf.types import Outcome
    >>> values([Verdict(Outcome.WRONG_ANSWER, 1, 2), Verdict(Outcome.UNJUDGEABLE, 0, 2)], "pass_first")
    [0.05, None]
    """
    reward_function = make(reward) if isinstance(reward, str) else reward
    return [None if verdict.unjudgeable else reward_function.value(verdict) for verdict in verdicts]


def score(
    answers: Sequence[str], tests: Sequence[Any], judge: AnswerJudge, reward: str | VerdictReward = "coarse"
) -> list[float | None]:
    """The reward of the program in each answer; None for one of which nothing is known.

    Args:
        answers: texts of a model: plain programs, or answers with fences, prose and thinking.
        tests: the tests of each, in a form that `judge` reads.
        judge: `rltf.Judge` or `rltf.RemoteJudge`.
        reward: a key of `KINDS`, or an object with the method `value`.

    Raises:
        ValueError: tests that cannot be read, or an unknown reward.

    >>> from rltf import Judge
    >>> answer = "Here it is:\\n```python\\ndef f(x):\\n    return x + 1\\n```"
    >>> with Judge(workers=1) as judge:
    ...     score([answer, "def f(x): return 0"], [["assert f(1) == 2"]] * 2, judge, "coarse")
    [1.0, -0.3]
    """
    return values(judge.judge_answers(answers, tests), reward)
