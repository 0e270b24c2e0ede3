"""Log-probs of whole policies against the logits that transformers computes."""

from __future__ import annotations

import pytest
import torch
from policy_kinds import POLICIES, seq2seq_policy
from torch import Tensor

from rltf.policies import compat
from rltf.policies.causal import CausalPolicy
from rltf.policies.codet5p.policy import CodeT5PlusPolicy
from rltf.policies.pretrained import TransformersPolicy
from rltf.types import Sampling

LENGTHS = [(5, 7), (3, 2), (9, 4), (3, 6)]
"""Prompt and response tokens of each row."""


def batch(policy: TransformersPolicy, lengths=LENGTHS, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random rows, padded on the side the policy asks for; rows 1 and 3 have the same prompt."""
    draw = torch.Generator().manual_seed(seed)
    longest, most = max(s for s, _ in lengths), max(t for _, t in lengths)
    prompt = torch.full((len(lengths), longest), policy.pad_id)
    response = torch.full((len(lengths), most), policy.pad_id)
    prompt_mask, mask = torch.zeros_like(prompt, dtype=torch.bool), torch.zeros_like(response, dtype=torch.bool)
    for row, (s, t) in enumerate(lengths):
        at = slice(0, s) if policy.prompt_padding == "right" else slice(longest - s, longest)
        prompt[row, at] = torch.randint(5, 250, (s,), generator=draw)
        prompt_mask[row, at] = True
        response[row, :t] = torch.randint(5, 250, (t,), generator=draw)
        mask[row, :t] = True
    if len(lengths) == 4:
        prompt[3] = prompt[1]
    return prompt, prompt_mask, response, mask


def row_logits(policy: TransformersPolicy, prompt: Tensor, response: Tensor) -> Tensor:
    """Logits of one response, unpadded, through the model's own forward, (T, V)."""
    if isinstance(policy, CausalPolicy):
        ids = torch.cat([prompt, response])[None]
        return policy.model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
    if isinstance(policy, CodeT5PlusPolicy):
        read = torch.cat([torch.tensor([policy.start_id]), prompt, response])[None, :-1]
        return policy.model(input_ids=prompt[None], decoder_input_ids=read).logits[0, len(prompt) :]
    return policy.model(input_ids=prompt[None], labels=response[None]).logits[0]


def row_logprobs(policy: TransformersPolicy, rows: tuple[Tensor, ...]) -> list[Tensor]:
    out = []
    for prompt, prompt_mask, response, mask in zip(*rows, strict=True):
        logits = row_logits(policy, prompt[prompt_mask], response[mask])
        out.append(logits.log_softmax(-1).gather(-1, response[mask][:, None])[:, 0])
    return out


def test_logprobs_equal_those_of_each_row_alone(policy: TransformersPolicy):
    rows = batch(policy)
    ours, entropy = policy.token_logprobs(*rows)
    for row, expected in enumerate(row_logprobs(policy, rows)):
        torch.testing.assert_close(ours[row, rows[3][row]], expected, rtol=1e-4, atol=2e-5)
    assert ours.dtype == entropy.dtype == torch.float32
    assert (ours[~rows[3]] == 0).all()
    assert (entropy[~rows[3]] == 0).all()
    assert (entropy[rows[3]] > 0).all()


def test_gradients_of_all_weights_equal_those_of_each_row_alone(policy: TransformersPolicy):
    """In float64: in float32 a ReLU unit within rounding of zero may open in one shape of batch only."""
    rows = batch(policy)
    policy.double()
    weights = [w for w in policy.model.parameters() if w.requires_grad]
    have = torch.autograd.grad(policy.token_logprobs(*rows)[0].square().sum(), weights)
    want = torch.autograd.grad(torch.cat(row_logprobs(policy, rows)).square().sum(), weights)
    codegen = policy.model.config.model_type == "codegen"  # transformers computes its attention in float32 all the same
    for a, b in zip(have, want, strict=True):
        scale = float(b.abs().max())
        tolerance = {"rtol": 1e-3, "atol": 1e-4 * scale + 1e-6} if codegen else {"rtol": 1e-5, "atol": 1e-5 * scale}
        torch.testing.assert_close(a, b, **tolerance)


def test_temperature_divides_the_logits(policy: TransformersPolicy):
    rows = batch(policy)
    tempered, entropy = policy.token_logprobs(*rows, Sampling(temperature=0.5))
    own_entropy = policy.token_logprobs(*rows)[1]
    logits = row_logits(policy, rows[0][0][rows[1][0]], rows[2][0])
    expected = (logits / 0.5).log_softmax(-1).gather(-1, rows[2][0][:, None])[:, 0]
    torch.testing.assert_close(tempered[0], expected, rtol=1e-4, atol=5e-5)
    torch.testing.assert_close(entropy, own_entropy)  # that of the model's own distribution


def test_padding_changes_nothing(policy: TransformersPolicy):
    short = batch(policy, [(4, 5)])
    left = policy.prompt_padding == "left"
    wide_prompt, wide_mask = (
        torch.nn.functional.pad(t, (3, 0) if left else (0, 3), value=v)
        for t, v in ((short[0], policy.pad_id), (short[1], False))
    )
    wide_response = torch.nn.functional.pad(short[2], (0, 4), value=policy.pad_id)
    wide = (wide_prompt, wide_mask, wide_response, torch.nn.functional.pad(short[3], (0, 4), value=False))
    torch.testing.assert_close(policy.token_logprobs(*wide)[0][:, :5], policy.token_logprobs(*short)[0])


def test_a_prompt_without_its_mask_would_give_other_logprobs():
    policy = seq2seq_policy()
    prompt, prompt_mask, response, mask = batch(policy)
    masked = policy.token_logprobs(prompt, prompt_mask, response, mask)[0]
    unmasked = policy.token_logprobs(prompt, torch.ones_like(prompt_mask), response, mask)[0]
    assert (masked - unmasked).abs().max() > 1e-3


def test_rows_of_one_prompt_share_the_encoder_and_its_gradients_add_up():
    shared, alone = seq2seq_policy().double(), seq2seq_policy().double()
    alone.share_prompts = False
    rows = batch(shared)
    encoded: list[int] = []
    shared.model.get_encoder().register_forward_hook(lambda _, __, out: encoded.append(len(out[0])))
    results = []
    for policy in (shared, alone):
        values = policy.token_logprobs(*rows)[0]
        values.square().sum().backward()
        results.append((values.detach(), [w.grad for w in policy.model.parameters()]))
    assert encoded == [3]  # four rows, three prompts
    torch.testing.assert_close(results[0][0], results[1][0])
    for a, b in zip(results[0][1], results[1][1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * float(b.abs().max()))


@pytest.mark.parametrize("family", POLICIES)
def test_gradient_checkpointing_gives_the_same_gradients(family: str):
    gradients = []
    for checkpointing in (False, True):
        policy = POLICIES[family]()
        if checkpointing:
            compat.checkpoint_activations(policy.model)
        policy.train()
        policy.token_logprobs(*batch(policy))[0].sum().backward()
        gradients.append([w.grad for w in policy.model.parameters() if w.grad is not None])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


def test_dropout_is_off_in_evaluation_mode_and_on_in_training():
    policy = seq2seq_policy(dropout_rate=0.3)
    rows = batch(policy)
    policy.eval()
    assert torch.equal(policy.token_logprobs(*rows)[0], policy.token_logprobs(*rows)[0])
    policy.train()
    assert not torch.equal(policy.token_logprobs(*rows)[0], policy.token_logprobs(*rows)[0])


@pytest.mark.parametrize("tied", [True, False])
def test_t5_scales_its_output_exactly_when_its_embeddings_are_tied(tied: bool):
    policy = seq2seq_policy(tie_word_embeddings=tied)
    rows = batch(policy, [(4, 5)])
    expected = row_logprobs(policy, rows)[0]
    torch.testing.assert_close(policy.token_logprobs(*rows)[0][0], expected, rtol=1e-4, atol=1e-5)
