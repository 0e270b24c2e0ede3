"""A program never gets longer than its model's context."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from families import CONTEXT, FAMILIES, SEQ2SEQ, family_model

from rltf.policies.context import check_context, context_of
from rltf.types import Sampling

UNBOUND = ("bloom", "falcon_alibi", "mamba", "mamba2")


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(SEQ2SEQ)))
def test_the_context_of_every_family_is_known(family: str):
    yarn = 32 * 4096  # gpt-oss: the factor times `original_max_position_embeddings`
    expected = None if family in UNBOUND else yarn if family == "gpt_oss" else CONTEXT
    assert context_of(family_model(family, 64).config) == expected


@pytest.mark.parametrize(
    ("rope", "expected"),
    [
        ({"rope_type": "linear", "factor": 4.0}, 4 * 2048),
        ({"rope_type": "dynamic", "factor": 2.0}, 2 * 2048),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}, 2048),
        ({"type": "yarn", "factor": 8.0, "original_max_position_embeddings": 512}, 4096),
        ({"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 2048}, 2048),
        ({"rope_type": "default"}, 2048),
    ],
)
def test_scaled_positions_reach_as_far_as_their_factor_says(rope: dict[str, object], expected: int):
    assert context_of(SimpleNamespace(max_position_embeddings=2048, rope_parameters=rope)) == expected
    assert context_of(SimpleNamespace(max_position_embeddings=2048, rope_scaling=rope)) == expected


def test_a_number_of_positions_below_one_is_no_bound():
    assert context_of(SimpleNamespace(max_position_embeddings=-1)) is None  # XLNet's


def test_prompt_and_program_must_fit_the_context():
    check_context(48, 40, Sampling(max_new_tokens=8))
    check_context(None, 40, Sampling(max_new_tokens=10_000))
    with pytest.raises(
        ValueError, match=r"^generation\.sampling\.max_new_tokens is 9: expected at most 8, .* 48 tokens"
    ):
        check_context(48, 40, Sampling(max_new_tokens=9))


def test_a_response_must_fit_a_decoder_with_positions_of_its_own():
    check_context(None, 512, Sampling(max_new_tokens=64), response_limit=64)
    with pytest.raises(
        ValueError, match=r"^generation\.sampling\.max_new_tokens is 65: expected at most 64, .* decoder"
    ):
        check_context(None, 512, Sampling(max_new_tokens=65), response_limit=64)
