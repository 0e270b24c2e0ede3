"""A program ends at any of a model's end tokens, in every sampler, and nothing behind one is part of it."""

from __future__ import annotations

from typing import Any

import pytest
from models import greedy_by_generate

from rltf.generation.engine.engine import Engine
from rltf.generation.hf import HFSampler
from rltf.types import FinishReason, Sampling

SAMPLERS = {"compiled": Engine, "torch": lambda: Engine(compiled=False), "hf": HFSampler}
NEW = 24


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_greedy_programs_end_where_generate_ends_with_a_list_of_end_tokens(
    policy: Any, sampler: str, make_requests: Any, tape_runners: Any
):
    requests = make_requests([3, 9, 6], draws=0, greedy=True)
    expected = [generated(policy, request.prompt_ids, policy.end_ids) for request in requests]
    second = expected[0][min(4, len(expected[0]) - 1)]  # a token that is drawn in the middle becomes an end, too
    policy.end_ids = (*policy.end_ids, second)
    expected = [generated(policy, request.prompt_ids, policy.end_ids) for request in requests]
    assert len(expected[0]) <= 5
    samples = SAMPLERS[sampler]().sample(policy, requests, Sampling(max_new_tokens=NEW), seed=0)
    drawn = {sample.request: sample for sample in samples}
    assert [list(drawn[i].token_ids) for i in range(3)] == expected
    assert drawn[0].finish is FinishReason.EOS
    assert not any(end in sample.token_ids[:-1] for sample in drawn.values() for end in policy.end_ids)


def generated(policy: Any, prompt: tuple[int, ...], end_ids: tuple[int, ...]) -> list[int]:
    """What transformers' own `generate` writes."""
    return greedy_by_generate(policy.model, prompt, max_new_tokens=NEW, eos_token_id=list(end_ids))
