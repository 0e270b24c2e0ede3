"""Values of states against the logits that transformers computes."""

from __future__ import annotations

import torch
from policy_kinds import seq2seq_policy
from test_policy_logprobs import batch, row_logits

from rltf.policies.pretrained import TransformersPolicy
from rltf.types import Sampling


def test_values_are_the_log_sum_exp_of_the_logits_that_each_token_is_drawn_from(policy: TransformersPolicy):
    rows = batch(policy)
    logprobs, values, entropy = policy.token_values(*rows)
    for row, (prompt, prompt_mask, response, mask) in enumerate(zip(*rows, strict=True)):
        expected = row_logits(policy, prompt[prompt_mask], response[mask]).logsumexp(-1)
        torch.testing.assert_close(values[row, mask], expected, rtol=1e-4, atol=5e-5)
    assert values.dtype == torch.float32
    assert (values[~rows[3]] == 0).all()
    ours, own_entropy = policy.token_logprobs(*rows)
    torch.testing.assert_close(logprobs, ours)
    torch.testing.assert_close(entropy, own_entropy)


def test_value_and_log_prob_add_up_to_the_logit_of_the_token(policy: TransformersPolicy):
    rows = batch(policy)
    logprobs, values, _ = policy.token_values(*rows, entropy=False)
    prompt, prompt_mask, response, mask = (part[2] for part in rows)
    logits = row_logits(policy, prompt[prompt_mask], response[mask]).gather(-1, response[mask][:, None])[:, 0]
    torch.testing.assert_close((values + logprobs)[2, mask], logits, rtol=1e-4, atol=5e-5)


def test_gradients_of_values_equal_those_of_each_row_alone(policy: TransformersPolicy):
    rows = batch(policy)
    policy.double()
    weights = [w for w in policy.model.parameters() if w.requires_grad]
    have = torch.autograd.grad(policy.token_values(*rows)[1].square().sum(), weights)
    alone = [row_logits(policy, p[pm], r[m]).logsumexp(-1) for p, pm, r, m in zip(*rows, strict=True)]
    want = torch.autograd.grad(torch.cat(alone).square().sum(), weights)
    for ours, theirs in zip(have, want, strict=True):
        scale = float(theirs.abs().max())
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * scale + 1e-6)


def test_values_are_those_of_the_models_own_distribution_whatever_was_sampled():
    policy = seq2seq_policy()
    rows = batch(policy)
    tempered = policy.token_logprobs(*rows, Sampling(temperature=0.5))[0]
    own, _, _ = policy.token_values(*rows)
    assert (tempered - own)[rows[3]].abs().max() > 1e-3
