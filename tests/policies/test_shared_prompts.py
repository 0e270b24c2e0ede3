"""Rows of one prompt share what is computed from it: the same numbers and gradients, and less work."""

from __future__ import annotations

import copy

import pytest
import torch
from policy_kinds import POLICIES
from torch import Tensor

from rltf.policies import compat
from rltf.policies.causal import MIN_SAVED_SHARE
from rltf.policies.forward import prefix_cache, response_trees
from rltf.policies.forward.shared_prompts import distinct_prompts, prompts_to_run
from rltf.policies.lora import Lora, add_adapters
from rltf.policies.pretrained import TransformersPolicy

OWNERS = {
    "each alone": [0, 1, 2, 3],
    "groups of three": [0, 0, 0, 1, 1, 1],
    "mixed up": [1, 0, 1, 1, 0, 0],
    "unequal": [0, 1, 1, 0, 2, 0, 0, 1, 1],
    "one prompt": [0, 0, 0, 0],
}
"""Which prompt each row has."""
TARGETS = {"t5": None, "llama": ["q_proj", "v_proj", "up_proj"], "codegen": ["qkv_proj"], "codet5p": None}
"""Layers that adapters go to."""


def rows(policy: TransformersPolicy, owners: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows of those prompts, of unequal lengths."""
    draw = torch.Generator().manual_seed(0)
    prompts = [torch.randint(5, 250, (length,), generator=draw) for length in (12, 7, 10, 1)]
    prompt = torch.full((len(owners), 12), policy.pad_id)
    response = torch.full((len(owners), 6), policy.pad_id)
    prompt_mask, mask = torch.zeros_like(prompt, dtype=torch.bool), torch.zeros_like(response, dtype=torch.bool)
    for row, owner in enumerate(owners):
        length = len(prompts[owner])
        at = slice(0, length) if policy.prompt_padding == "right" else slice(12 - length, 12)
        prompt[row, at], prompt_mask[row, at] = prompts[owner], True
        tokens = 1 + (5 * row) % 6
        response[row, :tokens] = torch.randint(5, 250, (tokens,), generator=draw)
        mask[row, :tokens] = True
    return prompt, prompt_mask, response, mask


def compare(policy: TransformersPolicy, owners: list[int]) -> None:
    """Log-probs and gradients with and without sharing. Gradients in float64: in float32 a ReLU unit within rounding of
    zero may open on one side only. (transformers computes CodeGen's attention in float32 all the same.)"""
    alone = copy.deepcopy(policy)
    alone.share_prompts = False
    batch = rows(policy, owners)
    with torch.no_grad():
        values = [side.token_logprobs(*batch)[0] for side in (policy, alone)]
    torch.testing.assert_close(*values, rtol=1e-5, atol=1e-5)
    gradients = []
    for side in (policy, alone):
        side.double().token_logprobs(*batch)[0].square().sum().backward()
        gradients.append({name: weight.grad for name, weight in side.named_parameters() if weight.requires_grad})
    codegen = policy.model.config.model_type == "codegen"
    tolerance = 1e-5 if codegen else 2e-6  # the head's softmax is taken in float32
    rounding = 32 * torch.finfo(torch.float32).eps * torch.cat([g.flatten() for g in gradients[1].values()]).norm()
    for name, expected in gradients[1].items():
        difference = float((gradients[0][name] - expected).norm())
        assert difference <= tolerance * float(expected.norm()) + codegen * float(rounding), name


def tokens_run(policy: TransformersPolicy, batch: tuple[Tensor, ...]) -> int:
    """Tokens that pass the first layer's feed-forward part of encoder or decoder."""
    stack = policy.model.get_encoder() if policy.model.config.is_encoder_decoder else policy.model.base_model
    token_counts: list[int] = []
    handle = stack.get_input_embeddings().register_forward_hook(
        lambda _, __, out: token_counts.append(out.shape[:2].numel())
    )
    policy.token_logprobs(*batch)
    handle.remove()
    return sum(token_counts)


@pytest.mark.parametrize("owners", OWNERS.values(), ids=OWNERS)
def test_shared_prompts_give_the_numbers_and_gradients_of_repeated_ones(policy: TransformersPolicy, owners: list[int]):
    compare(policy, owners)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_same_in_training_with_and_without_gradient_checkpointing(policy: TransformersPolicy, checkpointing: bool):
    if checkpointing:
        compat.checkpoint_activations(policy.model)
    compare(policy.train(), OWNERS["groups of three"])


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("family", POLICIES)
def test_the_same_with_adapters(family: str, checkpointing: bool):
    pytest.importorskip("peft", reason="the extra lora is not installed")
    policy = POLICIES[family]()
    torch.manual_seed(0)
    add_adapters(policy.model, Lora(r=2, target_modules=TARGETS[family]))
    for name, weight in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    if checkpointing:
        compat.checkpoint_activations(policy.model)
    compare(policy.train(), OWNERS["groups of three"])


@pytest.mark.parametrize(("family", "tokens"), [("t5", 2 * 12), ("llama", 2 * 12 + 6 * 5), ("codegen", 2 * 12 + 6 * 5)])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_prompt_runs_once_for_all_its_rows(family: str, tokens: int, checkpointing: bool):
    policy = POLICIES[family]().train()
    if checkpointing:
        compat.checkpoint_activations(policy.model)
    batch = rows(policy, OWNERS["groups of three"])
    assert tokens_run(policy, batch) == tokens
    policy.share_prompts = False
    assert tokens_run(policy, batch) == (6 * 12 if family == "t5" else 6 * (12 + 5))


def test_a_causal_prompt_is_repeated_where_sharing_saves_little():
    policy = POLICIES["llama"]()
    batch = rows(policy, [0, 1, 2, 3, 3, 0])  # saves 2 prompts of 12 tokens, of 6 rows of 18 tokens
    assert MIN_SAVED_SHARE < 2 * 12 / (6 * 18)
    assert tokens_run(policy, batch) == 4 * 12 + 6 * 5
    prompt, prompt_mask, *_ = rows(policy, [0, 1, 2, 3, 1])
    longer = torch.full((5, 30), 7)
    assert MIN_SAVED_SHARE > 12 / (5 * (12 + 30))
    assert tokens_run(policy, (prompt, prompt_mask, longer, longer > 0)) == 5 * (12 + 29)


def test_sliding_windows_are_left_alone():
    policy = POLICIES["llama"]()
    assert prefix_cache.can_read_prefixes(policy.model)
    policy.model.config.layer_types = ["full_attention", "sliding_attention"]
    assert not prefix_cache.can_read_prefixes(policy.model)


@pytest.mark.parametrize(
    ("largest_tree", "rows_projected"),
    # trees: each prompt once; rows: groups of the greatest common divisor: 3 and 3; 2, 2 and 2; 1 nine times
    [(512, [2, 2, 3]), (0, [2, 3, 9])],
)
def test_cross_attention_projects_a_prompt_once(
    largest_tree: int, rows_projected: list[int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(response_trees, "MAX_NODES", largest_tree)
    policy = POLICIES["t5"]()
    projected: list[int] = []
    attention = policy.model.get_decoder().block[1].layer[1].EncDecAttention
    attention.k.register_forward_hook(lambda _, __, out: projected.append(len(out)))
    for owners in (OWNERS["mixed up"], [0, 0, 1, 1, 1, 1], OWNERS["unequal"]):
        policy.token_logprobs(*rows(policy, owners))
    assert projected == rows_projected


def test_prompts_that_differ_only_in_padding_are_one():
    ids = torch.tensor([[5, 6, 0], [5, 6, 9], [5, 6, 9]])
    mask = torch.tensor([[True, True, False], [True, True, False], [True, True, True]])
    shared = distinct_prompts(ids, mask)
    assert shared is not None
    assert len(shared.prompt_PS) == 2
    assert shared.prompt_index_B[0] == shared.prompt_index_B[1] != shared.prompt_index_B[2]
    assert distinct_prompts(ids[1:], mask[1:]) is None
    assert distinct_prompts(ids[:1], mask[:1]) is None
    assert len(prompts_to_run(ids, mask, share=True).prompt_PS) == 2
    assert prompts_to_run(ids, mask, share=False).prompt_index_B.tolist() == [0, 1, 2]
    assert prompts_to_run(ids[1:], mask[1:], share=True).prompt_index_B.tolist() == [0, 1]  # no prompt twice
