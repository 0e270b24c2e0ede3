"""A critic of returns: V(s_t) of the state before each token, trained on the returns that GAE estimates.

    loss = 1/2 max((V - R)^2, (V_old + clip(V - V_old, -c, c) - R)^2), mean over drawn tokens (PPO's value clipping)

V_old is the critic's prediction before it learns from the iteration's programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from rltf.critics.base import Critic, masked_rows
from rltf.critics.body import load_body
from rltf.critics.network import CriticNetwork
from rltf.policies.base import Policy
from rltf.types import CriticPrediction, Rollout, RolloutBatch
from rltf.validation import require


class ValueCritic(Critic):
    """Predicts the return from each token on.

    Args:
        policy: the body is a copy of it, unless `body` names another.
        hidden: width of the head's ReLU layer; 0: the head is linear.
        clip: c, how far a value may move within one iteration; None: no clipping.
        lr, weight_decay, passes, batch_size, weights: see `Critic`.
        own_body: see `CriticNetwork`.
        body: a folder with a policy that the body begins as; None: the policy as it is when RL starts.
        train_body: the body learns, too; False: the head alone does; only with `body`.
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
        own_body: bool = True,
        body: str | None = None,
        train_body: bool = True,
    ) -> None:
        require("hidden", hidden, at_least=0, whole=True)
        require("clip", clip, above=0, optional=True)
        network = CriticNetwork(
            policy,
            1,
            hidden,
            own_body=own_body,
            after_token=False,
            body=load_body(body, policy, train_body),
            train_body=train_body,
        )
        super().__init__(network, policy.pad_id, policy.prompt_padding, lr, weight_decay, passes, batch_size, weights)
        self.clip = clip

    @override
    def predict(self, batch: RolloutBatch, rollouts: Sequence[Rollout]) -> list[CriticPrediction]:
        return [CriticPrediction(values) for values in masked_rows(self.network(batch).squeeze(2), batch.mask_BT)]

    @override
    def loss(self, batch: RolloutBatch, rollouts: Sequence[Rollout]) -> tuple[Tensor, int]:
        predictions = [rollout.critic for rollout in rollouts if rollout.critic is not None]
        complete = len(predictions) == len(rollouts) and all(prediction.returns for prediction in predictions)
        assert complete, "credit estimates returns before a critic learns"
        value_N = self.network(batch).squeeze(2)[batch.mask_BT]
        old_N = value_N.new_tensor([value for prediction in predictions for value in prediction.tokens])
        return_N = value_N.new_tensor([value for prediction in predictions for value in prediction.returns])
        return value_loss(value_N, old_N, return_N, self.clip).sum(), len(value_N)


def value_loss(value_N: Tensor, old_N: Tensor, return_N: Tensor, clip: float | None) -> Tensor:
    """The loss of each token, by the formula above.

    Args:
        value_N: V.
        old_N: V_old.
        return_N: R.
        clip: c; None: no clipping.
    """
    loss_N = (value_N - return_N).square()
    if clip is not None:
        clipped_N = old_N + (value_N - old_N).clamp(-clip, clip)
        loss_N = torch.maximum(loss_N, (clipped_N - return_N).square())
    return loss_N / 2


class MlpCritic(ValueCritic):
    """V(s_t) = MLP(state that the policy draws token t from), of its present weights, without gradient to them.

    Args:
        policy: source of the states.
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
        super().__init__(policy, hidden, clip, lr, weight_decay, passes, batch_size, weights, own_body=False)
