"""A critic of returns: V(s_t) of the state before each token, trained on the returns that GAE estimates.

    loss = 1/2 max((V - R)^2, (V_old + clip(V - V_old, -c, c) - R)^2), mean over drawn tokens (PPO's value clipping)

V_old is what the critic said when the programs were harvested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from rltf.critics.base import Critic, rows
from rltf.critics.network import CriticNetwork
from rltf.policies.base import Policy
from rltf.types import CriticReading, Rollout, RolloutBatch


class ValueCritic(Critic):
    """Predicts what a program will earn from each token on.

    Args:
        policy: the body is a copy of it.
        hidden: width of the head's ReLU layer; 0: the head is linear.
        clip: c, how far a value may move from what it was at the harvest; None: as far as it likes.
        own: see `CriticNetwork`.
        lr, weight_decay, passes, batch_size, weights: see `Critic`.
    """

    kind: ClassVar[Literal["outcome", "value"]] = "value"

    def __init__(
        self,
        policy: Policy,
        hidden: int = 0,
        clip: float | None = 0.2,
        lr: float = 1e-5,
        weight_decay: float = 0.0,
        passes: float = 1,
        batch_size: int = 8,
        weights: str | None = None,
        own: bool = True,
    ) -> None:
        if clip is not None and not clip > 0:
            raise ValueError(f"critic.clip is {clip}, expected null or a number above 0")
        network = CriticNetwork(policy, 1, hidden, own=own, after=False)
        super().__init__(network, policy.pad_id, policy.prompt_padding, lr, weight_decay, passes, batch_size, weights)
        self.clip = clip

    def predict(self, batch: RolloutBatch, rollouts: Sequence[Rollout]) -> list[CriticReading]:
        """See `Critic.predict`."""
        return [CriticReading(values) for values in rows(self.network(batch).squeeze(2), batch.mask_BT)]

    def loss(self, batch: RolloutBatch, rollouts: Sequence[Rollout]) -> tuple[Tensor, int]:
        """See `Critic.loss`; the rollouts have values and returns."""
        said = [rollout.critic for rollout in rollouts]
        assert all(one is not None and one.returns for one in said), "credit estimates returns before a critic learns"
        mask_BT = batch.mask_BT
        value_N = self.network(batch).squeeze(2)[mask_BT]
        old_N = value_N.new_tensor([value for one in said if one is not None for value in one.tokens])
        return_N = value_N.new_tensor([value for one in said if one is not None for value in one.returns])
        return value_loss(value_N, old_N, return_N, self.clip).sum(), len(value_N)


def value_loss(value_N: Tensor, old_N: Tensor, return_N: Tensor, clip: float | None) -> Tensor:
    """Of each token; see the formula above."""
    loss_N = (value_N - return_N).square()
    if clip is not None:
        near_N = old_N + (value_N - old_N).clamp(-clip, clip)
        loss_N = torch.maximum(loss_N, (near_N - return_N).square())
    return loss_N / 2


class MlpCritic(ValueCritic):
    """V(s_t) = MLP(state that the policy draws token t from), of its present weights, without gradient to them.

    Args:
        policy: whose states are read.
        hidden: width of the ReLU layer.
        clip: see `ValueCritic`.
        lr, weight_decay, passes, batch_size, weights: see `Critic`.
    """

    def __init__(
        self,
        policy: Policy,
        hidden: int = 128,
        clip: float | None = 0.2,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        passes: float = 1,
        batch_size: int = 8,
        weights: str | None = None,
    ) -> None:
        super().__init__(policy, hidden, clip, lr, weight_decay, passes, batch_size, weights, own=False)
