"""A critic of returns that costs next to nothing to train: a small network on the policy's own states, detached."""

from __future__ import annotations

from rltf.critics.value import ValueCritic
from rltf.policies.base import Policy


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
