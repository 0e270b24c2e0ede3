"""Worlds of a few actions, whose soft-optimal policies have closed forms."""

from __future__ import annotations

import torch
from objective_batches import batch_of

from rltf.algorithms.objective import BatchLogprobs, TokenScores
from rltf.algorithms.target import TargetNetwork

TWO_STEPS = [[0.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 2.0]]
"""Rewards of the programs 00, 01, 10 and 11: at the last token."""
OPTIMAL = (0.224515, 0.082594, 0.082594, 0.610296)
"""exp(reward) / Z of these programs, Z = e + 1 + 1 + e^2."""
VALUES = (2.493812, 1.313262, 2.126928)
"""log Z at the start, behind 0 and behind 1."""


class TwoSteps:
    """Logits of two successive choices between two tokens, the second by state."""

    def __init__(self, logits=((0.0, 0.0), (0.0, 0.0), (0.0, 0.0))):
        self.logits = torch.tensor(logits, dtype=torch.float64, requires_grad=True)  # start, behind 0, behind 1

    def scores(self):
        """Of the programs 00, 01, 10 and 11."""
        logprobs, values = self.logits.log_softmax(-1), self.logits.logsumexp(-1)
        rows = [(0, 0), (0, 1), (1, 0), (1, 1)]
        return TokenScores(
            torch.stack([torch.stack([logprobs[0, a], logprobs[1 + a, b]]) for a, b in rows]),
            torch.stack([torch.stack([values[0], values[1 + a]]) for a, _ in rows]),
        )

    def programs(self):
        """Probability of each program."""
        return self.scores().logprobs_BT.sum(1).exp().tolist()


class OneStep:
    """Logits of one choice between two tokens."""

    def __init__(self, logits=(0.0, 0.0)):
        self.logits = torch.tensor([logits], dtype=torch.float64, requires_grad=True)

    def scores(self):
        """Of the programs 0 and 1."""
        values_BT = self.logits.logsumexp(-1).expand(2)[:, None]
        return TokenScores(self.logits.log_softmax(-1).t(), values_BT)

    def programs(self):
        """Probability of each program."""
        return self.scores().logprobs_BT.sum(1).exp().tolist()


def rows_of(scores, rows):
    """The same scores for programs that may come several times."""
    return TokenScores(scores.logprobs_BT[rows], scores.values_BT[rows])


def scored_by(policy, rewards, rows, reference=None, target=None):
    """What the objective reads of these programs; by default the target is the policy itself."""
    scores = rows_of(policy.scores(), rows)
    detached = TokenScores(scores.logprobs_BT.detach(), scores.values_BT.detach())
    batch = batch_of([rewards[row] for row in rows])
    by_target = detached if target is None else rows_of(target, rows)
    return BatchLogprobs(
        batch, scores.logprobs_BT, reference and rows_of(reference, rows), scores.values_BT, target=by_target
    )


def trained(world, objective, rewards, rows, prior=None, steps=700, rate=0.05, lr=0.05):
    """The world after so many steps on the same programs, with a target that follows the logits."""
    policy, target = world(), world()
    if prior is not None:
        policy, target = world(prior), world(prior)
    reference = None if prior is None else _detached(world(prior))
    optimizer = torch.optim.Adam([policy.logits], lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    follow = TargetNetwork(rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = objective(scored_by(policy, rewards, rows, reference, _detached(target)))
        (loss.total / loss.count).backward()
        optimizer.step()
        schedule.step()
        follow.move([target.logits.data], [policy.logits.data])
    return policy


def _detached(world):
    scores = world.scores()
    return TokenScores(scores.logprobs_BT.detach(), scores.values_BT.detach())


def total_variation(left, right):
    """Half of the sum of differences between two distributions."""
    return sum(abs(a - b) for a, b in zip(left, right, strict=True)) / 2
