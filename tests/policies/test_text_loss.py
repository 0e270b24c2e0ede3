"""Tokenizers of every kind: which of them give programs back."""

import pytest
from models import t5_model
from policy_kinds import POLICIES, TOKENIZERS
from tokenizers import Regex, normalizers

from rltf.benchmarks.mini import Mini
from rltf.policies.seq2seq import Seq2SeqPolicy
from rltf.training.demonstrations import Demonstrations


def demonstrations_of(policy):
    mini = Mini(sizes={"train": 40, "validation": 1, "test": 1})
    return Demonstrations(mini, policy, mini.problems("train"), max_tokens=1000, seed=1)


@pytest.mark.parametrize("family", POLICIES)
def test_tokenizers_of_code_models_give_every_demonstration_back(family):
    source = demonstrations_of(POLICIES[family]())
    assert (len(source), source.changed) == (40, 0)


def test_a_t5_tokenizer_makes_one_line_of_a_program_and_is_refused():
    """As transformers' own T5Tokenizer: white space of every kind is one space."""
    tokenizer = TOKENIZERS["t5"]()
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace(Regex(r"\\s+"), " ")
    policy = Seq2SeqPolicy(t5_model(len(tokenizer)), tokenizer, max_prompt_tokens=64)
    with pytest.raises(ValueError, match=r"^model\.path holds a \w+ that loses text, \d+ of 40 demonstrations"):
        demonstrations_of(policy)
