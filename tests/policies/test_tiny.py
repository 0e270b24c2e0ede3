"""Small policies with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rltf.policies.tiny import TOKENIZER, tiny_causal, tiny_t5
from rltf.setup.instantiate import build as build_node

BUILDERS = [tiny_t5, tiny_causal]


@pytest.mark.parametrize("build", BUILDERS)
def test_weights_depend_on_the_seed_alone(build):
    torch.manual_seed(1)
    first = build(layers=1, seed=3).state_dict()
    torch.manual_seed(2)
    second, other = build(layers=1, seed=3).state_dict(), build(layers=1, seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("build", BUILDERS)
def test_building_leaves_the_global_random_state_alone(build):
    before = torch.get_rng_state()
    build(layers=1)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("build", BUILDERS)
def test_a_tokenizer_file_can_be_named(build, tmp_path: Path):
    (tmp_path / "copy.json").write_bytes(TOKENIZER.read_bytes())
    assert build(layers=1, tokenizer=str(tmp_path / "copy.json")).eos_id == build(layers=1).eos_id


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    ("key", "value"), [("d_model", 0), ("layers", 0), ("heads", 5), ("max_prompt_tokens", 0), ("tokenizer", "nowhere")]
)
def test_values_out_of_range_name_their_key(build, key: str, value: object):
    error_key = "d_model" if key == "heads" else key  # the width must be a multiple of the heads
    with pytest.raises(ValueError, match=rf"^{error_key} is .*: expected"):
        build(**{"layers": 1, key: value})


def test_a_config_with_a_bad_size_is_refused_by_its_path(composed):
    with pytest.raises(ValueError, match=r"^model\.d_model is 128: expected an even multiple of heads, which is 5"):
        build_node(composed("train", "model.heads=5"), "model")


def test_key_value_heads_divide_heads():
    with pytest.raises(ValueError, match=r"^kv_heads is 3: expected a divisor of heads, which is 4"):
        tiny_causal(kv_heads=3)
    assert tiny_causal(layers=1, kv_heads=2).model.config.num_key_value_heads == 2


def test_a_tiny_policy_learns_one_program_by_heart():
    policy = tiny_t5(d_model=32, d_ff=64, layers=1)
    ids = torch.tensor([policy.encode_answer("def f(x):\n    return x + 1\n")])
    prompt = torch.tensor([[5, 6, 7]])
    optimiser = torch.optim.Adam(policy.parameters(), lr=1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        loss = -policy.token_logprobs(prompt, prompt > 0, ids, ids > -1)[0].mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1
