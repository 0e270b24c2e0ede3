"""The process reward model: a policy's body with one output at the end of each line, regressed on the labels.

loss = 1/2 (PRM(prefix up to the line's last token) - label)^2, mean over lines
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar, Literal

import torch
from torch import Tensor
from typing_extensions import override

from rltf.critics.base import Critic, masked_rows
from rltf.critics.network import CriticNetwork
from rltf.policies.base import Policy
from rltf.types import CriticPrediction, Rollout, RolloutBatch


class ProcessRewardModel(Critic):
    """Learns labels of lines: `returns` of a rollout's critic reading, NaN at tokens that end no line.

    Its weights fit `critic=value`, whose value before a token is this model's output after the token before it.

    Args:
        policy: the body is a copy of it.
        hidden: width of the head's ReLU layer; 0: the head is linear.
        lr, weight_decay, passes, batch_size: see `Critic`.
    """

    kind: ClassVar[Literal["outcome", "value"]] = "value"

    def __init__(
        self, policy: Policy, hidden: int, lr: float, weight_decay: float, passes: int, batch_size: int
    ) -> None:
        network = CriticNetwork(policy, 1, hidden, own_body=True, after_token=True)
        super().__init__(network, policy.pad_id, policy.prompt_padding, lr, weight_decay, passes, batch_size, None)

    @override
    def predict(self, batch: RolloutBatch, rollouts: Sequence[Rollout]) -> list[CriticPrediction]:
        outputs = masked_rows(self.network(batch).squeeze(2), batch.mask_BT)
        return [
            replace(rollout.critic or CriticPrediction(()), tokens=tokens)  # the labels stay
            for rollout, tokens in zip(rollouts, outputs, strict=True)
        ]

    @override
    def loss(self, batch: RolloutBatch, rollouts: Sequence[Rollout]) -> tuple[Tensor, int]:
        output_N = self.network(batch).squeeze(2)[batch.mask_BT]
        labels = [label for rollout in rollouts if rollout.critic is not None for label in rollout.critic.returns]
        label_N = output_N.new_tensor(labels)
        labelled_N = ~torch.isnan(label_N)
        return (output_N[labelled_N] - label_N[labelled_N]).square().sum() / 2, int(labelled_N.sum())
