"""What the adapters share: completions in, verdicts and numbers out."""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rltf.rewards.text import VerdictReward, make
from rltf.service.judge import Judge
from rltf.service.remote import RemoteJudge
from rltf.types import Outcome, Verdict
from rltf.validation import OptionError

Unjudgeable = float | Literal["wrong_answer"] | None

_END_TOKENS = re.compile(r"(?:\s*(?:<\|[\w .-]+\|>|</s>|<eos>|<end_of_turn>|<｜end▁of▁sentence｜>))+\s*\Z")
"""Special tokens at the end of a text that was decoded with them."""
_NOTHING_PASSED = Verdict(Outcome.WRONG_ANSWER, 0, 1)
_judges: dict[tuple[Any, ...], Judge | RemoteJudge] = {}
"""By process and options: a fork has judges of its own."""


@dataclass(frozen=True)
class AnswerScorer:
    """Judges and rewards completions. Can be pickled: the judge is made in the process that needs it, and kept.

    Args:
        reward: `coarse` (RLTF's ladder), `adaptive` (the ladder with the share of tests), `pass_first` or `binary`
            (`rltf.rewards.text.KINDS`).
        values: arguments of the reward, e.g. `{"share_weight": 0.2}`.
        url: of a service (`rltf serve`); None: programs are judged on this machine, by processes of this one.
        token: of the service.
        workers: without `url`, programs judged at the same time; None: twice the cores.
        timeout: seconds a test, where the problem names none; None: the judge's default.
        unjudgeable: what a program earns of which nothing is known. `wrong_answer`: what one earns that passes no test,
            so that nothing is gained by it; None: None, for hosts that leave such programs out.

    Raises:
        ValueError: an option makes no sense.
    """

    reward: str = "coarse"
    values: Mapping[str, Any] = field(default_factory=dict)
    url: str | None = None
    token: str | None = None
    workers: int | None = None
    timeout: float | None = None
    unjudgeable: Unjudgeable = "wrong_answer"

    def __post_init__(self) -> None:
        make(self.reward, **self.values)
        if isinstance(self.unjudgeable, str) and self.unjudgeable != "wrong_answer":
            raise OptionError("unjudgeable", self.unjudgeable, "a number, null or wrong_answer")
        if self.url is not None:
            RemoteJudge(self.url)

    def verdicts(self, completions: Sequence[Any], tests: Sequence[Any]) -> list[Verdict]:
        """The verdict on the program in each completion.

        Args:
            completions: texts, or lists of chat messages, whose last one counts.
            tests: the tests of each (`rltf.service.test_sets.parse_problem`).

        Raises:
            ValueError: tests cannot be read, or check nothing.
            ServiceError: the service cannot be reached.
        """
        answers = [text_of(completion) for completion in completions]
        return self.judge.judge_answers(answers, tests, timeout=self.timeout)

    def rewards(self, verdicts: Sequence[Verdict]) -> list[float | None]:
        """The reward of each program."""
        reward: VerdictReward = make(self.reward, **self.values)
        unknown = reward.value(_NOTHING_PASSED) if self.unjudgeable == "wrong_answer" else self.unjudgeable
        assert not isinstance(unknown, str)
        return [unknown if verdict.unjudgeable else reward.value(verdict) for verdict in verdicts]

    @property
    def judge(self) -> Judge | RemoteJudge:
        """The judge of this process."""
        key = (os.getpid(), self.url, self.token, self.workers)
        if key not in _judges:
            if self.url is not None:
                _judges[key] = RemoteJudge(self.url, self.token)
            else:
                _judges[key] = judge = Judge(self.workers)
                atexit.register(judge.close)
        return _judges[key]


def text_of(completion: Any) -> str:
    """The text of a completion: a text, a chat message, or a list of messages, whose last one of the model counts.
    Special tokens at its end are left out.

    Raises:
        ValueError: it is none of these.

    >>> text_of([{"role": "assistant", "content": "x = 1<|im_end|>"}])
    'x = 1'
    """
    if isinstance(completion, str):
        return _END_TOKENS.sub("", completion)
    if isinstance(completion, Mapping) or hasattr(completion, "content"):
        content = completion["content"] if isinstance(completion, Mapping) else completion.content
        if isinstance(content, str) or content is None:
            return text_of(content or "")
        parts = [part.get("text", "") if isinstance(part, Mapping) else getattr(part, "text", "") for part in content]
        return text_of("".join(map(str, parts)))
    if isinstance(completion, Sequence):
        messages = [m for m in completion if _role(m) in ("assistant", None)]
        return text_of(messages[-1]) if messages else ""
    raise ValueError(f"a completion is {completion!r:.100}: expected a text or a list of chat messages")


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, Mapping) else getattr(message, "role", None)


def statistics(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Shares of the programs, for the host's log: `passed`, `tests_passed` (mean share of tests), and one a kind of
    outcome that occurred.

    >>> statistics([Verdict(Outcome.PASSED, 2, 2), Verdict(Outcome.TIMEOUT, 1, 2)])
    {'passed': 0.5, 'tests_passed': 0.75, 'timeout': 0.5}
    """
    count = max(1, len(verdicts))
    shares = {
        "passed": sum(verdict.outcome is Outcome.PASSED for verdict in verdicts) / count,
        "tests_passed": sum(verdict.passed_share for verdict in verdicts) / count,
    }
    for verdict in verdicts:
        if verdict.outcome is not Outcome.PASSED:
            name = verdict.outcome.value
            shares[name] = shares.get(name, 0.0) + 1 / count
    return shares
