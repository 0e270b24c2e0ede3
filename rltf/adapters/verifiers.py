"""Reward function for verifiers and prime-rl: `vf.Rubric(funcs=[reward_function("coarse")])`.

A row of the data set has the tests in `info["tests"]`, else in `answer` (JSON text).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from rltf.adapters.answers import AnswerScorer


def reward_function(
    reward: str = "coarse", url: str | None = None, **options: Any
) -> Callable[[Any, Any, Any], Awaitable[float]]:
    """An asynchronous function that a `Rubric` calls for each rollout with its `completion`, `answer` and `info`.

    verifiers logs errors of reward functions and goes on with 0: look for them when all rewards are 0.

    Args:
        reward: `coarse`, `adaptive`, `pass_first` or `binary`.
        url: of a service; None: judged on this machine.
        options: others of `rltf.adapters.answers.AnswerScorer`.

    Raises:
        ValueError: an option makes no sense.

    >>> score = reward_function("binary", workers=1)
    >>> message = [{"role": "assistant", "content": "```python\\ndef f(x): return x\\n```"}]
    >>> asyncio.run(score(message, "", {"tests": ["assert f(1) == 1"]}))
    1.0
    """
    scorer = AnswerScorer(reward, url=url, **options)

    def score(completion: Any, tests: Any) -> float:
        value = scorer.rewards(scorer.verdicts([completion], [tests]))[0]
        if value is None:
            raise ValueError("unjudgeable is None: expected a number or wrong_answer, as verifiers takes numbers alone")
        return value

    async def judged(completion: Any, answer: Any, info: Any) -> float:
        tests = info.get("tests") if isinstance(info, Mapping) else None
        return await asyncio.to_thread(score, completion, answer if tests is None else tests)

    judged.__name__ = judged.__qualname__ = f"rltf_{reward}"
    return judged
