"""A critic of outcomes: CodeRL's (arXiv 2207.01780, section 3.3), in the variants of its official code and its paper.

    logits_t = head(state after token t)        q_t = softmax(logits_t)[class of the program's outcome]
    of the whole program: max over t of each logit (code), or the head of the max over t of the states (paper)
    loss = cross-entropy of the outcome's class, mean over programs

Padding never enters the maximum; in the official code it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional
from typing_extensions import override

from rltf.critics.base import Critic, masked_rows
from rltf.critics.body import load_body
from rltf.critics.network import CriticNetwork
from rltf.policies.base import Policy
from rltf.types import CriticPrediction, Outcome, Program, Rollout, RolloutBatch, Verdict
from rltf.validation import require

CLASSES = 4
"""Number of outcome classes (`Outcome.stage`)."""


class OutcomeCritic(Critic):
    """Predicts the class of a program's outcome at every token.

    Args:
        policy: the body is a copy of it, unless `body` names another.
        hidden: width of the head's ReLU layer; 0: the head is linear.
        pool: the maximum over tokens is that of the `logits` (official code) or of the `states` (paper).
        lr, weight_decay, passes, batch_size, weights: see `Critic`.
        body: a folder with a policy that the body begins as; None: the policy as it is when RL starts.
        train_body: the body learns, too; False: the head alone does; only with `body`.
    """

    kind: ClassVar[Literal["outcome", "value"]] = "outcome"

    def __init__(
        self,
        policy: Policy,
        hidden: int = 128,
        pool: str = "logits",
        lr: float = 2e-5,
        weight_decay: float = 0.05,
        passes: float = 1,
        batch_size: int = 8,
        weights: str | None = None,
        body: str | None = None,
        train_body: bool = True,
    ) -> None:
        require("hidden", hidden, at_least=0, whole=True)
        require("pool", pool, choices=("logits", "states"))
        network = CriticNetwork(
            policy,
            CLASSES,
            hidden,
            own_body=True,
            after_token=True,
            body=load_body(body, policy, train_body),
            train_body=train_body,
        )
        super().__init__(network, policy.pad_id, policy.prompt_padding, lr, weight_decay, passes, batch_size, weights)
        self.pool = pool

    def logits(self, batch: RolloutBatch) -> tuple[Tensor, Tensor]:
        """(logits_BTK of each token, logits_BK of each program)."""
        states_BTD = self.network.states(batch)
        logits_BTK = self.network.apply_head(states_BTD)
        padding_BT1 = ~batch.response_mask_BT.unsqueeze(2)
        if self.pool == "logits":
            return logits_BTK, logits_BTK.masked_fill(padding_BT1, -torch.inf).amax(1)
        return logits_BTK, self.network.apply_head(states_BTD.masked_fill(padding_BT1, -torch.inf).amax(1))

    def __call__(self, programs: Sequence[Program]) -> list[list[float]]:
        """The probability that each program passes, up to and with each of its drawn tokens: a `PrefixCritic`
        (`rltf.rollouts.interfaces`) for search at test time."""
        passed = Verdict(Outcome.PASSED, 1, 1)
        rollouts = self.add_predictions([Rollout(program, passed) for program in programs])
        return [list(rollout.critic.tokens) for rollout in rollouts if rollout.critic is not None]

    @override
    def predict(self, batch: RolloutBatch, rollouts: Sequence[Rollout]) -> list[CriticPrediction]:
        logits_BTK, logits_BK = self.logits(batch)
        class_B11 = self._classes(rollouts).view(-1, 1, 1).expand(-1, logits_BTK.shape[1], 1)
        probability_BT = logits_BTK.softmax(2).gather(2, class_B11).squeeze(2)
        classes = map(tuple, logits_BK.softmax(1).tolist())
        return [
            CriticPrediction(*pair) for pair in zip(masked_rows(probability_BT, batch.mask_BT), classes, strict=True)
        ]

    @override
    def loss(self, batch: RolloutBatch, rollouts: Sequence[Rollout]) -> tuple[Tensor, int]:
        logits_BK = self.logits(batch)[1]
        return functional.cross_entropy(logits_BK, self._classes(rollouts), reduction="sum"), len(rollouts)

    def _classes(self, rollouts: Sequence[Rollout]) -> Tensor:
        """int64 class_B of the outcomes."""
        return torch.tensor([rollout.verdict.outcome.stage for rollout in rollouts], device=self._device)
