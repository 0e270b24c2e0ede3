"""Reward function for OpenRLHF: `--remote_rm_url FOLDER/rltf/adapters/openrlhf.py`, with tests in the label
(`--input_key`, `--label_key`).

OpenRLHF passes no options to the function, so the environment has them: `RLTF_REWARD` (coarse, adaptive, pass_first,
binary), `RLTF_URL` and `RLTF_TOKEN` of a service, without it `RLTF_WORKERS`, and `RLTF_TIMEOUT` (seconds a test).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from rltf.adapters.answers import AnswerScorer, statistics
from rltf.types import Outcome
from rltf.validation import OptionError


def reward_func(queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any], **kwargs: Any) -> dict[str, Any]:
    """Rewards of a batch, as float tensors with one number a query: `rewards` for advantages, `scores` (1: every test
    passed) for dynamic filtering, `extra_logs`.

    Args:
        queries: prompts with the responses behind them.
        prompts: the prompts.
        labels: the tests of each (`rltf.service.test_sets.parse_problem`), e.g. JSON text.
        kwargs: what else OpenRLHF passes; not read.

    Raises:
        ValueError: tests cannot be read, or a variable of the environment makes no sense.
    """
    import torch

    scorer = scorer_of(os.environ)
    pairs = zip(queries, prompts, strict=True)
    responses = [query[len(prompt) :] if query.startswith(prompt) else query for query, prompt in pairs]
    verdicts = scorer.verdicts(responses, labels)
    passed = torch.tensor([float(verdict.outcome is Outcome.PASSED) for verdict in verdicts])
    names = sorted({name for verdict in verdicts for name in statistics([verdict])} | {"passed", "tests_passed"})
    each = [statistics([verdict]) for verdict in verdicts]
    logs = {f"judge_{name}": torch.tensor([one.get(name, 0.0) for one in each]) for name in names}
    return {"rewards": torch.tensor(scorer.rewards(verdicts)), "scores": passed, "extra_logs": logs}


def scorer_of(environment: Mapping[str, str]) -> AnswerScorer:
    """The scorer that the environment describes.

    Raises:
        ValueError: a variable makes no sense.

    >>> scorer_of({"RLTF_REWARD": "binary", "RLTF_TIMEOUT": "2"}).timeout
    2.0
    """
    return AnswerScorer(
        reward=environment.get("RLTF_REWARD", "coarse"),
        url=environment.get("RLTF_URL") or None,
        token=environment.get("RLTF_TOKEN") or None,
        workers=_number(environment, "RLTF_WORKERS", int),
        timeout=_number(environment, "RLTF_TIMEOUT", float),
    )


def _number(environment: Mapping[str, str], key: str, kind: type[Any]) -> Any:
    text = environment.get(key)
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        raise OptionError(key, text, "a number") from None
