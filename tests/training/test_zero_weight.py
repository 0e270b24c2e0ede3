"""Programs whose tokens all weigh 0 may be left out of a step's passes: the gradient is the same."""

import dataclasses

import pytest
import torch
from objective_batches import batch_of

from rltf.algorithms.cispo import CISPO
from rltf.algorithms.grpo import GRPO
from rltf.algorithms.gspo import GSPO
from rltf.algorithms.loss_mix import LossMix, WeightedObjective
from rltf.algorithms.objective import BatchLogprobs
from rltf.algorithms.reductions import REDUCTIONS
from rltf.algorithms.reinforce import Reinforce
from rltf.algorithms.soft_q import SoftQ
from rltf.algorithms.supervised import Supervised
from rltf.policies.tiny import tiny_causal, tiny_t5
from rltf.rollouts.collate import collate
from rltf.setup.combinations import check_skipped_programs
from rltf.setup.instantiate import build
from rltf.training.micro_batches import weighted_rows
from rltf.types import FinishReason, Outcome, Program, Rollout, Verdict

OBJECTIVES = (Reinforce, GRPO, GSPO, CISPO, Supervised)


def rollout(problem, tokens, advantage):
    draw = torch.Generator().manual_seed(len(problem) + tokens)
    prompt, response = (tuple(torch.randint(3, 300, (n,), generator=draw).tolist()) for n in (6, tokens))
    program = Program(problem, "x", prompt, response, ((0, 0),) * tokens, (-4.0,) * tokens, FinishReason.EOS)
    return Rollout(program, Verdict(Outcome.PASSED, 1, 1), (), 1.0, 0.0, advantage)


ROLLOUTS = [
    *(rollout("a", tokens, 0.0) for tokens in (4, 9)),
    *(rollout("bb", tokens, advantage) for tokens, advantage in ((7, 1.5), (5, -0.5), (3, 0.0), (8, -1.0))),
]


def test_rows_with_a_weight_stay_in_their_order():
    batch = batch_of([[0.0, 0.0], [0.0, 2.0], [0.0, 0.0], [-1.0, 0.0]])
    assert weighted_rows(batch).weight_BT.tolist() == [[0.0, 2.0], [-1.0, 0.0]]


def test_a_weight_of_padding_is_none():
    batch = batch_of([[0.0, 3.0], [1.0, 0.0]], lengths=[1, 2])
    batch = dataclasses.replace(batch, weight_BT=torch.tensor([[0.0, 3.0], [1.0, 0.0]]))
    assert weighted_rows(batch).weight_BT.tolist() == [[1.0, 0.0]]


def test_where_nothing_weighs_one_row_is_left_since_processes_pass_together():
    rows = weighted_rows(batch_of([[0.0, 0.0], [0.0, 0.0]]))
    assert rows.weight_BT.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("make_policy", [tiny_t5, tiny_causal])
@pytest.mark.parametrize("objective", [o(reduction=r) for o in OBJECTIVES for r in REDUCTIONS], ids=repr)
def test_the_gradient_is_that_of_all_rows(make_policy, objective):
    policy = make_policy(32, 32, layers=1, heads=2).double()
    mix = LossMix(rl=WeightedObjective(objective))
    batch = collate(ROLLOUTS, policy.pad_id, policy.prompt_padding)
    divisors = mix.counts({"rl": batch})
    gradients = []
    for rows in (batch, weighted_rows(batch)):
        logprobs_BT, _ = policy.token_logprobs(
            rows.prompt_BS, rows.prompt_mask_BS, rows.response_BT, rows.response_mask_BT
        )
        loss = mix({"rl": BatchLogprobs(rows, logprobs_BT)}, divisors).total
        gradients.append(torch.autograd.grad(loss, [p for p in policy.parameters() if p.requires_grad]))
    assert any(whole.abs().max() > 1e-6 for whole in gradients[0])
    for whole, part in zip(*gradients, strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-9, atol=1e-12)
    assert not mix.reads_zero_weights


@pytest.mark.parametrize("objective", [Reinforce(kl=0.1), GRPO(kl=0.1), GSPO(kl=0.1), CISPO(kl=0.1), SoftQ()], ids=repr)
def test_losses_that_hold_a_program_of_weight_0_say_so(objective):
    assert LossMix(rl=WeightedObjective(objective)).reads_zero_weights


def test_an_objective_that_does_not_say_is_taken_to_read_all():
    class Own:
        needs = frozenset()

    assert LossMix(rl=WeightedObjective(Own())).reads_zero_weights


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ("algorithm.mix.rl.objective.kl=0.1",),
            "rollouts.skip_zero_weight is true and algorithm.mix.rl.objective may",
        ),
        (("algorithm=soft_q",), "rollouts.skip_zero_weight is true and algorithm.mix.rl.objective may learn"),
        (("prompts=pool",), "rollouts.skip_zero_weight is true and prompts= learn keys from all programs"),
    ],
)
def test_where_such_programs_have_a_part_in_the_loss_it_is_refused(composed, overrides, sentence):
    cfg = composed("train", "rollouts.skip_zero_weight=true", *overrides)
    with pytest.raises(ValueError, match=sentence):
        check_skipped_programs(cfg, build(cfg, "algorithm.mix"))
    cfg.rollouts.skip_zero_weight = False
    check_skipped_programs(cfg, build(cfg, "algorithm.mix"))
    allowed = composed("train", "rollouts.skip_zero_weight=true", "algorithm=raft")
    check_skipped_programs(allowed, build(allowed, "algorithm.mix"))
