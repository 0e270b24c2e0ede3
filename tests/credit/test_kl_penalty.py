"""What tokens cost that the reference finds less probable."""

from dataclasses import replace

import pytest
import torch
from critic_cases import POLICIES, random_rollouts

from rltf.credit.kl_penalty import KlPenalty
from rltf.rollouts.collate import collate
from rltf.setup.instantiate import build
from rltf.types import Sampling


def test_the_weight_of_the_divergence_grows_by_the_formula():
    penalty = KlPenalty(beta=0.1, target=1.0, horizon=10_000)
    penalty._divergences = [2.0] * 32
    assert penalty.adapt_beta() == {"kl": 2.0, "kl_weight": 0.1}
    assert penalty.beta == pytest.approx(0.1 * 1.00064)  # 1 + 0.2 * 32 / 10000
    penalty._divergences = [0.9] * 32
    penalty.adapt_beta()
    assert penalty.beta == pytest.approx(0.1 * 1.00064 * (1 - 0.1 * 32 / 10_000))
    fixed = KlPenalty(beta=0.1)
    fixed._divergences = [5.0]
    fixed.adapt_beta()
    assert fixed.beta == 0.1
    assert fixed.adapt_beta() == {}


@pytest.mark.parametrize("make", POLICIES.values(), ids=POLICIES)
def test_tokens_pay_for_what_the_reference_finds_less_probable_and_nothing_where_it_agrees(make):
    policy = make()
    rollouts = random_rollouts(5)
    batch = collate(rollouts, policy.pad_id, policy.prompt_padding)
    with torch.no_grad():
        own_BT = policy.token_logprobs(
            batch.prompt_BS, batch.prompt_mask_BS, batch.response_BT, batch.response_mask_BT
        )[0]
    told = [
        replace(r, program=replace(r.program, logprobs=tuple((row[: len(r.program.token_ids)] + 0.5).tolist())))
        for r, row in zip(rollouts, own_BT, strict=True)
    ]
    penalty = KlPenalty(beta=0.2)
    penalty.set_reference(policy, Sampling())
    for cost, rollout in zip(penalty(told), told, strict=True):
        assert cost == pytest.approx([0.1] * len(rollout.program.token_ids), abs=1e-6)
    tokens = sum(len(r.program.token_ids) for r in told)
    assert penalty.adapt_beta()["kl"] == pytest.approx(0.5 * tokens / 5, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"beta": 0}, "beta is 0: expected a number above 0 "),
        ({"beta": 1, "target": 0}, "target is 0: expected null or a number above 0"),
        ({"beta": 1, "horizon": 0}, "horizon is 0: expected a whole number of at least 1"),
    ],
)
def test_wrong_options_are_refused_by_their_keyword(options, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        KlPenalty(**options)


def test_a_wrong_option_is_refused_by_its_path_in_the_config(composed):
    cfg = composed("train", "algorithm=ppo", "critic=value", "algorithm.credit.penalty.beta=0")
    with pytest.raises(ValueError, match=r"^algorithm\.credit\.penalty\.beta is 0: expected a number above 0 "):
        build(cfg, "algorithm.credit")
