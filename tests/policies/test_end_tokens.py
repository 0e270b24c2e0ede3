"""A policy's end tokens are those of its tokenizer and of its model's generation config."""

from __future__ import annotations

from pathlib import Path

import pytest
from policy_kinds import codegen_policy, llama_policy

from rltf.policies.causal import CausalPolicy
from rltf.policies.load import pretrained


@pytest.mark.parametrize(("listed", "expected"), [(None, (330,)), (5, (330, 5)), ([330, 5, 6], (330, 5, 6))])
def test_end_tokens_are_the_union_with_the_tokenizers_first(listed, expected: tuple[int, ...]):
    policy = codegen_policy()
    policy.model.generation_config.eos_token_id = listed
    policy = CausalPolicy(policy.model, policy.tokenizer, 64)
    assert (policy.eos_id, policy.end_ids) == (330, expected)


def test_an_end_token_beyond_the_vocabulary_can_never_be_drawn():
    policy = codegen_policy()
    policy.model.generation_config.eos_token_id = [50256]
    assert CausalPolicy(policy.model, policy.tokenizer, 64).end_ids == (330,)


def test_the_list_of_a_folder_is_read_and_written_back(tmp_path: Path):
    policy = llama_policy()
    policy.model.generation_config.eos_token_id = [2, 9]
    policy.export(tmp_path / "a")
    loaded = pretrained(name="a", path=str(tmp_path / "a"), max_prompt_tokens=64)
    assert loaded.end_ids == (2, 9)
    loaded.export(tmp_path / "b")
    assert pretrained(name="b", path=str(tmp_path / "b"), max_prompt_tokens=64).end_ids == (2, 9)


def test_an_end_token_is_no_text_of_the_program():
    policy = codegen_policy()
    letter = policy.tokenizer("q", add_special_tokens=False)["input_ids"][0]
    assert policy.decode((letter,))[0] == "q"
    policy.model.generation_config.eos_token_id = [330, letter]
    policy = CausalPolicy(policy.model, policy.tokenizer, 64)
    assert policy.decode((letter, 330)) == ("", ((0, 0), (0, 0)))
