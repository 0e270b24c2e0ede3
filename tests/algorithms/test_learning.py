"""The whole chain from verdicts to weights on a bandit: one prompt, four programs of two tokens."""

import pytest
import torch

from rltf.algorithms.advantages import Advantages, CreditedGroup
from rltf.algorithms.grpo import GRPO
from rltf.algorithms.loss_mix import LossMix, WeightedObjective
from rltf.algorithms.objective import BatchLogprobs
from rltf.algorithms.reinforce import Reinforce
from rltf.rollouts.buffer import RolloutBuffer
from rltf.rollouts.collate import collate
from rltf.types import Credit, FinishReason, Outcome, Program, Verdict

A, B = 1, 2
PROGRAMS = [(A, A), (A, B), (B, A), (B, B)]


class TwoLayerPolicy(torch.nn.Module):
    """Next token from the previous one and the position."""

    def __init__(self, seed):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.embed = torch.nn.Embedding(3, 16)
            self.place = torch.nn.Embedding(2, 16)
            self.head = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Tanh(), torch.nn.Linear(32, 3))

    def forward(self, response_BT):
        previous_BT = torch.cat([torch.zeros_like(response_BT[:, :1]), response_BT[:, :-1]], dim=1)
        logits_BTV = self.head(self.embed(previous_BT) + self.place(torch.arange(2)))
        logits_BTV = logits_BTV.masked_fill(torch.tensor([True, False, False]), -1e9)
        return logits_BTV.log_softmax(-1).gather(-1, response_BT[..., None])[..., 0]

    @torch.no_grad()
    def probabilities(self):
        return self(torch.tensor(PROGRAMS)).sum(dim=1).exp()


def train(baseline, normalize, objective, passed_shares, iterations, samples, seed=0, lr=0.02):
    """On-policy iterations: draw, judge, credit, buffer, batch, loss mix, step. Returns the four probabilities."""
    policy, generator = TwoLayerPolicy(seed), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(policy.parameters(), lr)
    advantages, mix = Advantages(baseline, normalize), LossMix(rl=WeightedObjective(objective))
    for version in range(iterations):
        probabilities = policy.probabilities()
        drawn = torch.multinomial(probabilities, samples, replacement=True, generator=generator).tolist()
        choices = [(int(probabilities.argmax()), True)] * advantages.needs_greedy + [(i, False) for i in drawn]
        group = []
        for draw, (choice, greedy) in enumerate(choices):
            with torch.no_grad():
                logprobs = policy(torch.tensor([PROGRAMS[choice]]))[0].tolist()
            share = passed_shares[choice]
            outcome = Outcome.PASSED if share == 1 else Outcome.WRONG_ANSWER
            program = Program(
                problem_id="bandit",
                text="",
                prompt_ids=(0,),
                token_ids=PROGRAMS[choice],
                offsets=((0, 0), (0, 0)),
                logprobs=tuple(logprobs),
                finish=FinishReason.EOS,
                version=version,
                draw=draw,
                greedy=greedy,
            )
            verdict = Verdict(outcome, round(10 * share), 10)
            group.append((program, verdict, (Credit("adaptive", -0.3 + 1.3 * verdict.passed_share),)))
        buffer = RolloutBuffer(samples)
        buffer.extend(advantages([CreditedGroup(group)])[0])
        batch = collate(buffer.sample(samples, generator), pad_id=0, prompt_padding="right")
        optimizer.zero_grad()
        mix({"rl": BatchLogprobs(batch, policy(batch.response_BT))}).total.backward()
        optimizer.step()
    return policy.probabilities()


@pytest.mark.parametrize("passing", range(4))
@pytest.mark.parametrize(
    ("baseline", "normalize", "objective"),
    [
        ("best_so_far", "none", Reinforce()),
        ("greedy_latest", "none", Reinforce()),
        ("leave_one_out", "none", Reinforce()),
        ("group_mean", "std", GRPO()),
    ],
    ids=["best_so_far", "greedy_latest", "leave_one_out", "grpo"],
)
def test_the_passing_one_of_four_programs_becomes_almost_certain(passing, baseline, normalize, objective):
    shares = [1.0 if i == passing else 0.0 for i in range(4)]
    assert train(baseline, normalize, objective, shares, iterations=100, samples=20)[passing] > 0.95


def test_without_any_difference_between_programs_nothing_is_learnt():
    before = TwoLayerPolicy(0).probabilities()
    assert torch.equal(train("group_mean", "std", GRPO(), [0.5] * 4, iterations=5, samples=20), before)


@pytest.mark.parametrize("best", range(4))
def test_nine_tests_of_ten_beat_none_though_no_program_passes(best):
    # flipping tokens of the best program: both right, second wrong, first wrong, both wrong
    shares = [0.0] * 4
    for flipped, share in enumerate([0.9, 0.6, 0.3, 0.0]):
        shares[best ^ flipped] = share
    worst = best ^ 3
    after = train("group_mean", "none", Reinforce(), shares, iterations=25, samples=60, seed=best)
    assert after.argmax() == best
    assert after.argmin() == worst
    assert after[best] > 0.5
