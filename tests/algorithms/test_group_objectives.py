"""Closed forms of the objectives that compare the programs of a problem, each as its yaml has it: from rewards to the
gradient of the loss in the log-probs of the tokens."""

from functools import cache
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from rltf.algorithms.advantages import CreditedGroup
from rltf.algorithms.objective import BatchLogprobs
from rltf.rollouts.collate import collate
from rltf.types import Credit, FinishReason, Outcome, Program, Verdict

CONFIGS = Path(__file__).parents[2] / "configs"
OLD = -1.5
LENGTHS = (1, 2, 1, 2)
NAMES = ("reinforce", "rloo", "grpo", "dr_grpo", "dapo", "gspo", "cispo")
FORMS = {  # advantages of the rewards 1, 0, 0, 1, and what a token's advantage is divided by
    "reinforce": ([0.5, -0.5, -0.5, 0.5], (4, 4, 4, 4)),  # first visit, no greedy program: the mean; per sequence
    "rloo": ([2 / 3, -2 / 3, -2 / 3, 2 / 3], (4, 4, 4, 4)),  # 4/3 of the distance to the mean
    "grpo": ([1.0, -1.0, -1.0, 1.0], (4 * 1, 4 * 2, 4 * 1, 4 * 2)),  # population spread 0.5; mean of means
    "dr_grpo": ([0.5, -0.5, -0.5, 0.5], (4, 4, 4, 4)),  # no spread, no length
    "dapo": ([1.0, -1.0, -1.0, 1.0], (6, 6, 6, 6)),  # all tokens of the batch alike
    "gspo": ([1.0, -1.0, -1.0, 1.0], (4 * 1, 4 * 2, 4 * 1, 4 * 2)),  # as grpo where no program is stale
    "cispo": ([1.0, -1.0, -1.0, 1.0], (6, 6, 6, 6)),  # as dapo there
}


@cache
def node(name):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return compose("train", [f"algorithm={name}"]).algorithm


def algorithm(name):
    return instantiate(node(name))


def gradient(name, rewards, ratio=1.0, spans=()):
    """(advantages, d loss / d logprobs_BT); `spans` are (program, token, value)."""
    built = algorithm(name)
    group = []
    for draw, (reward, length) in enumerate(zip(rewards, LENGTHS, strict=True)):
        ids = tuple(range(5, 5 + length))
        program = Program("p", "", (1,), ids, ((0, 0),) * length, (OLD,) * length, FinishReason.EOS, draw=draw)
        credits = [Credit("fine", value, (token, token + 1)) for row, token, value in spans if row == draw]
        group.append((program, Verdict(Outcome.WRONG_ANSWER, 0, 1), (Credit("coarse", reward), *credits)))
    [rollouts] = built.advantages([CreditedGroup(group)])
    batch = collate(rollouts, 0, "right")
    logprobs_BT = torch.full(batch.mask_BT.shape, OLD + torch.tensor(ratio).log().item(), requires_grad=True)
    loss = built.mix.terms["rl"].objective(BatchLogprobs(batch, logprobs_BT))
    (loss.total / loss.count).backward()
    return [r.advantage for r in rollouts], logprobs_BT.grad


@pytest.mark.parametrize("name", NAMES)
def test_first_step_is_the_advantage_over_what_the_objective_divides_by(name):
    advantages, grad = gradient(name, [1.0, 0.0, 0.0, 1.0])
    expected, divisors = FORMS[name]
    assert advantages == pytest.approx(expected)
    for row, length in enumerate(LENGTHS):
        assert grad[row, :length].tolist() == pytest.approx([-expected[row] / divisors[row]] * length)
        assert not grad[row, length:].any()


@pytest.mark.parametrize("name", NAMES)
def test_span_penalty_adds_to_its_token_after_the_groups_normalisation(name):
    _, plain = gradient(name, [1.0, 0.0, 0.0, 1.0])
    advantages, blamed = gradient(name, [1.0, 0.0, 0.0, 1.0], spans=[(1, 1, -0.4)])
    assert advantages == pytest.approx(FORMS[name][0])
    difference = torch.zeros_like(plain)
    difference[1, 1] = 0.4 / FORMS[name][1][1]
    torch.testing.assert_close(blamed - plain, difference)


@pytest.mark.parametrize("name", NAMES)
def test_programs_that_all_earn_the_same_have_exactly_no_gradient(name):
    for reward in (0.1, 1.0):
        advantages, grad = gradient(name, [reward] * 4)
        assert advantages == [0.0] * 4
        assert not grad.any()


def test_dapo_lets_a_good_token_grow_beyond_grpos_clip_and_a_bad_one_shrink_no_further():
    # at ratio 1.25 the range of GRPO, [0.8, 1.2], is left and that of DAPO, [0.8, 1.28], is not
    for name, held in (("grpo", True), ("dapo", False)):
        _, grad = gradient(name, [1.0, 0.0, 0.0, 1.0], ratio=1.25)
        assert (grad[0, 0].item() == 0.0) is held
        assert grad[2, 0].item() == pytest.approx(1.25 / FORMS[name][1][2])
    for name in ("grpo", "dapo"):
        _, grad = gradient(name, [1.0, 0.0, 0.0, 1.0], ratio=0.75)
        assert grad[2, 0].item() == 0.0
        assert grad[0, 0].item() == pytest.approx(-0.75 / FORMS[name][1][0])


def test_dapo_brings_its_length_penalty_to_any_reward_and_needs_no_reference(composed):
    cfg = composed("train", "algorithm=dapo", "reward=fine+adaptive")
    assert list(cfg.reward.terms) == ["fine", "adaptive", "overlong"]
    assert cfg.reward.terms.overlong.limit == cfg.generation.sampling.max_new_tokens
    assert not algorithm("dapo").mix.needs
    assert "overlong" not in composed("train", "reward=fine+adaptive").reward.terms
