"""`algorithm=raft` and `algorithm=ssd`: from verdicts to the gradient of the tokens, each as its yaml has it."""

from types import SimpleNamespace

import pytest
import torch
from rollout_strategies import build_program

from rltf.algorithms.advantages import CreditedGroup
from rltf.algorithms.objective import BatchLogprobs
from rltf.credit.own_samples import OwnSamplesCredit
from rltf.rollouts.collate import collate
from rltf.setup.instantiate import build
from rltf.training.module import RLTFModule
from rltf.types import Credit, Outcome, Sampling, Verdict

OUTCOMES = (Outcome.PASSED, Outcome.WRONG_ANSWER, Outcome.SYNTAX_ERROR, Outcome.PASSED)
LENGTHS = (1, 2, 3, 4)


def gradient(composed, name, outcomes=OUTCOMES):
    """d loss / d logprobs_BT of programs of 1, 2, 3 and 4 tokens, whatever they earned."""
    algorithm = composed("train", f"algorithm={name}")
    mix, credit = build(algorithm, "algorithm.mix"), build(algorithm, "algorithm.credit")
    group = []
    for draw, (outcome, length) in enumerate(zip(outcomes, LENGTHS, strict=True)):
        credits = (Credit("coarse", -5.0), Credit("fine", -1.0, (0, 1)))
        group.append((build_program(draw=draw, length=length), Verdict(outcome, 0, 1), credits))
    [rollouts] = build(algorithm, "algorithm.advantages")([CreditedGroup(group)])
    batch = collate(credit(rollouts), 0, "right")
    logprobs_BT = torch.full(batch.mask_BT.shape, -1.0, requires_grad=True)
    loss = mix.terms["rl"].objective(BatchLogprobs(batch, logprobs_BT))
    (loss.total / loss.count.clamp(min=1)).backward()
    return [row[:length].tolist() for row, length in zip(logprobs_BT.grad, LENGTHS, strict=True)]


def test_raft_learns_from_programs_that_pass_as_from_demonstrations(composed):
    # five tokens of passing programs: -1/5 each; rewards, blame and the other programs' tokens are read by nothing
    assert gradient(composed, "raft") == [
        pytest.approx([-0.2]),
        [0.0] * 2,
        [0.0] * 3,
        pytest.approx([-0.2] * 4),
    ]


def test_ssd_learns_from_all_programs_alike(composed):
    assert gradient(composed, "ssd") == [pytest.approx([-0.1] * length) for length in LENGTHS]  # ten tokens


def test_where_no_program_passes_raft_learns_nothing_and_ssd_goes_on(composed):
    failed = [Outcome.WRONG_ANSWER] * 4
    assert gradient(composed, "raft", failed) == [[0.0] * length for length in LENGTHS]
    assert gradient(composed, "ssd", failed) == gradient(composed, "ssd")


@pytest.mark.parametrize(("name", "sees_sampling"), [("raft", False), ("ssd", False), ("grpo", True)])
def test_own_samples_are_learned_under_the_policys_own_distribution(composed, name, sees_sampling):
    asked = []

    def token_logprobs(prompt_BS, prompt_mask_BS, response_BT, mask_BT, sampling, entropy):
        asked.append(sampling)
        return torch.zeros(response_BT.shape), torch.zeros(response_BT.shape)

    sampling, mix = Sampling(temperature=0.6), build(composed("train", f"algorithm={name}"), "algorithm.mix")
    policy = SimpleNamespace(token_logprobs=token_logprobs)
    module = SimpleNamespace(sampling=sampling, policy=policy, phase=SimpleNamespace(mix=mix))
    [rollouts] = build(composed("train", "algorithm=raft"), "algorithm.advantages")(
        [CreditedGroup([(build_program(), Verdict(Outcome.PASSED, 1, 1), ())])]
    )
    scorer = RLTFModule._scorer(module, "rl")
    scorer(policy, collate(rollouts, 0, "right"), None, None, entropy=True)
    assert asked == [sampling if sees_sampling else None]


def test_ssd_draws_from_a_sharpened_distribution_and_the_command_line_wins(composed):
    sampling = build(composed("train", "algorithm=ssd"), "generation.sampling")
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.6, 0.95, 20)
    chosen = build(composed("train", "algorithm=ssd", "generation.sampling.temperature=0.9"), "generation.sampling")
    assert chosen.temperature == 0.9
    for name in ("raft", "rltf_group"):
        plain = build(composed("train", f"algorithm={name}"), "generation.sampling")
        assert (plain.temperature, plain.top_p, plain.top_k) == (1.0, 1.0, 0)


def test_another_choice_of_programs_is_refused_by_its_path(composed):
    with pytest.raises(ValueError, match=r"^accept is 'most': expected passed or all$"):
        OwnSamplesCredit("most")
    with pytest.raises(ValueError, match=r"^algorithm\.credit\.accept is 'most': expected passed or all$"):
        build(composed("train", "algorithm=raft", "algorithm.credit.accept=most"), "algorithm.credit")
