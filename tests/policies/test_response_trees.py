"""Responses that begin alike share what is computed of their beginning: the same numbers and gradients, less work."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from policy_kinds import POLICIES, seq2seq_policy
from torch import Tensor

from rltf.policies import compat
from rltf.policies.forward import response_trees as trees_file
from rltf.policies.forward.response_trees import ResponseTrees, response_trees
from rltf.policies.lora import Lora, add_adapters
from rltf.policies.pretrained import TransformersPolicy
from rltf.types import Sampling

START, END = 3, 1
ROWS = [(0, (5, 6, END)), (1, (8, END)), (0, (5, 7, END)), (0, (5, 6, END))]
"""Prompt and response of each row."""


def padded(responses: list[tuple[int, ...]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, responses))
    ids = torch.tensor([[*response, *[0] * (longest - len(response))] for response in responses])
    mask = torch.tensor([[at < len(response) for at in range(longest)] for response in responses])
    return ids, mask


def trees_of(rows: list[tuple[int, tuple[int, ...]]]) -> ResponseTrees | None:
    prompts = [prompt for prompt, _ in rows]
    ids, mask = padded([response for _, response in rows])
    return response_trees(max(prompts) + 1, torch.tensor(prompts), ids, mask, START)


def test_a_tree_has_a_node_for_each_different_beginning():
    trees = trees_of(ROWS)
    assert trees is not None
    # Prompt 0: nothing, "5", "5 6", "5 7". Prompt 1: nothing, "8". What follows the last token is never drawn.
    assert trees.sizes == [4, 2]
    assert trees.input_PM.tolist() == [[START, 5, 6, 7], [START, 8, 0, 0]]
    assert trees.depth_PM.tolist() == [[0, 1, 2, 2], [0, 1, 0, 0]]
    assert trees.sees_PMM[0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]]
    assert trees.sees_PMM[1].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    node_of_token = dict(zip(trees.token_N.tolist(), trees.node_N.tolist(), strict=True))
    # tokens 0..2 are row 0, 3..4 row 1, 6..8 row 2, 9..11 row 3; nodes of prompt 1 begin at 4
    assert node_of_token == {0: 0, 1: 1, 2: 2, 3: 4, 4: 5, 6: 0, 7: 1, 8: 3, 9: 0, 10: 1, 11: 2}


@given(st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(5, 7), min_size=1, max_size=6)), min_size=1))
def test_what_a_token_sees_is_what_stands_before_it(rows: list[tuple[int, list[int]]]):
    rows = [*rows, *((prompt, [5, 6]) for prompt in (0, 0, 1, 1, 2, 2))]
    trees = trees_of([(prompt, tuple(response)) for prompt, response in rows])
    if trees is None:
        return
    largest = trees.input_PM.shape[1]
    longest = max(len(response) for _, response in rows)
    assert len(trees.token_N) == sum(len(response) for _, response in rows)
    for token, node in zip(trees.token_N.tolist(), trees.node_N.tolist(), strict=True):
        (row, at), (tree, place) = divmod(token, longest), divmod(node, largest)
        prompt, response = rows[row]
        seen = trees.sees_PMM[tree, place].nonzero().flatten()
        way = seen[trees.depth_PM[tree, seen].argsort()]
        assert tree == prompt
        assert trees.depth_PM[tree, way].tolist() == list(range(at + 1))
        assert trees.input_PM[tree, way].tolist() == [START, *response[:at]]


def test_there_is_no_tree_where_it_saves_little_or_would_be_large(monkeypatch: pytest.MonkeyPatch):
    alone = [(prompt, (5, 6, 7, END)) for prompt in range(3)]
    assert trees_of(alone) is None
    assert trees_of([*alone, (0, (9, END))]) is None  # one of 14 places is shared
    assert trees_of([*alone, (0, (5, 9, END))]) is not None  # 2 of 15
    monkeypatch.setattr(trees_file, "MAX_NODES", 3)
    assert trees_of(ROWS) is None


def batch(policy: TransformersPolicy) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ten rows of three prompts, whose responses part at all places; in no order."""
    draw = torch.Generator().manual_seed(0)
    prompts = [torch.randint(5, 250, (length,), generator=draw) for length in (12, 7, 10)]
    responses = [(0, "aabc"), (1, "ab"), (0, "aabc"), (2, "b"), (0, "aab"), (1, "acbba"), (0, "aacc"), (2, "b")]
    responses += [(1, "ab"), (0, "ccba")]
    prompt = torch.full((len(responses), 12), policy.pad_id)
    prompt_mask = torch.zeros_like(prompt, dtype=torch.bool)
    for row, (owner, _) in enumerate(responses):
        prompt[row, : len(prompts[owner])], prompt_mask[row, : len(prompts[owner])] = prompts[owner], True
    response, mask = padded([(*(50 + ord(letter) for letter in text), policy.eos_id) for _, text in responses])
    return prompt, prompt_mask, response, mask


def compare(policy: TransformersPolicy, sampling: Sampling | None = None) -> None:
    """Log-probs, entropies and gradients of trees, beside those of rows that share nothing."""
    alone = copy.deepcopy(policy)
    alone.share_prompts = False
    rows = batch(policy)
    with torch.no_grad():
        for tree_values, row_values in zip(
            policy.token_logprobs(*rows, sampling), alone.token_logprobs(*rows, sampling), strict=True
        ):
            torch.testing.assert_close(tree_values, row_values, rtol=1e-5, atol=1e-5)
    gradients = []
    for side in (policy, alone):
        side.double().token_logprobs(*rows, sampling)[0].square().sum().backward()
        gradients.append({name: weight.grad for name, weight in side.named_parameters() if weight.requires_grad})
    for name, expected in gradients[1].items():
        assert float((gradients[0][name] - expected).norm()) <= 2e-6 * float(expected.norm()), name


@pytest.mark.parametrize("sampling", [None, Sampling(temperature=0.7), Sampling(top_k=40)])
def test_trees_give_the_numbers_and_gradients_of_rows(sampling: Sampling | None):
    compare(seq2seq_policy(), sampling)


def test_the_same_with_gated_layers_and_a_head_of_its_own():
    compare(seq2seq_policy(feed_forward_proj="gated-gelu", tie_word_embeddings=False).train())


def test_the_same_where_activations_are_recomputed():
    policy = seq2seq_policy().train()
    compat.checkpoint_activations(policy.model)
    compare(policy)


def test_the_same_with_adapters():
    pytest.importorskip("peft", reason="the extra lora is not installed")
    policy = seq2seq_policy()
    torch.manual_seed(0)
    add_adapters(policy.model, Lora(r=2))
    for name, weight in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    compare(policy.train())


def test_a_beginning_runs_once():
    policy = seq2seq_policy()
    runs: list[int] = []
    policy.model.get_decoder().block[0].register_forward_hook(lambda _, __, out: runs.append(out[0].shape[:2].numel()))
    policy.token_logprobs(*batch(policy))
    # 0: "", a, aa, aab, aac, aabc, aacc, c, cc, ccb, ccba = 11; 1: "", a, ab, ac, acb, acbb, acbba = 7; 2: "", b = 2
    assert sum(runs) == 3 * 11  # one pass: a bucket of its own would cost more than padding does


def test_hidden_states_come_for_every_token():
    policy = seq2seq_policy()
    rows = batch(policy)
    alone = copy.deepcopy(policy)
    alone.share_prompts = False
    states = {}
    for side in (policy, alone):
        hidden_ND, token_N = side.hidden_states(*rows)
        states[side.share_prompts] = hidden_ND[token_N.argsort()]
        assert sorted(token_N.tolist()) == rows[3].flatten().nonzero().flatten().tolist()
    torch.testing.assert_close(states[True], states[False], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["llama", "codegen"])
def test_causal_models_run_rows(family: str):
    states = POLICIES[family]().token_states(*batch(POLICIES[family]()))
    assert states.state_N is None
