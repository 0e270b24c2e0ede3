"""Reward functions for verl, by `custom_reward_function`:

    custom_reward_function.path=pkg://rltf.adapters.verl   (or the path of this file)
    custom_reward_function.name=compute_score
    +custom_reward_function.reward_kwargs.reward=adaptive
    +custom_reward_function.reward_kwargs.url=http://127.0.0.1:8080

`reward_model.ground_truth` of a row has the tests: text, such as JSON with `inputs` and `outputs`, as in verl's data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from rltf.adapters.answers import AnswerScorer
from rltf.types import Outcome, Verdict


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: dict[str, Any] | None = None,
    *,
    reward: str = "coarse",
    **options: Any,
) -> dict[str, float]:
    """Score of one response: `score`, `acc` (1: every test passed), `tests_passed` (share of tests), `judged` (0: of
    the program nothing is known).

    Args:
        data_source: name of the data set; not read.
        solution_str: the response.
        ground_truth: its tests.
        extra_info: other fields of the row; not read.
        reward: `coarse`, `adaptive`, `pass_first` or `binary`.
        options: of `rltf.adapters.answers.AnswerScorer`.

    Raises:
        ValueError: tests cannot be read, or an option makes no sense.

    >>> tests = '{"inputs": ["1", "2"], "outputs": ["2", "3"]}'
    >>> compute_score("mine", "```python\\nprint(2)\\n```", tests, reward="pass_first", workers=1)
    {'score': 0.05, 'acc': 0.0, 'tests_passed': 0.5, 'judged': 1.0}
    """
    [row] = compute_score_batch([data_source], [solution_str], [ground_truth], [extra_info], reward=reward, **options)
    return row


async def compute_score_async(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: dict[str, Any] | None = None,
    *,
    reward: str = "coarse",
    **options: Any,
) -> dict[str, float]:
    """The same, awaited: verl's reward loop then judges many responses at a time."""
    return await asyncio.to_thread(
        compute_score, data_source, solution_str, ground_truth, extra_info, reward=reward, **options
    )


def compute_score_batch(
    data_sources: Sequence[str],
    solution_strs: Sequence[str],
    ground_truths: Sequence[Any],
    extra_infos: Sequence[Any],
    *,
    reward: str = "coarse",
    **options: Any,
) -> list[dict[str, float]]:
    """Scores of a batch, judged side by side, for `reward_model.reward_manager=batch`; arguments as of
    `compute_score`."""
    scorer = AnswerScorer(reward, **options)
    verdicts = scorer.verdicts(solution_strs, ground_truths)
    return [_row(verdict, score) for verdict, score in zip(verdicts, scorer.rewards(verdicts), strict=True)]


def _row(verdict: Verdict, score: float | None) -> dict[str, float]:
    if score is None:
        raise ValueError("unjudgeable is None: expected a number or wrong_answer, since verl takes numbers alone")
    return {
        "score": score,
        "acc": float(verdict.outcome is Outcome.PASSED),
        "tests_passed": verdict.passed_share,
        "judged": float(not verdict.unjudgeable),
    }
