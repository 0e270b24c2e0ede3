"""What the policy, the frozen start and the target say of one batch: forward passes and no loss."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

import torch
from torch import Tensor

from rltf.algorithms.objective import BatchLogprobs, Need, TokenScores
from rltf.policies.base import Policy
from rltf.types import RolloutBatch, Sampling


@dataclass(frozen=True)
class Scorer:
    """Runs the networks that an objective reads.

    Args:
        needs: of the objective.
        sampling: distribution that log-probs are taken under; None: the model's own. Values belong to the model's own.
    """

    needs: Set[Need]
    sampling: Sampling | None

    def __call__(
        self, policy: Policy, batch: RolloutBatch, reference: Policy | None, target: Policy | None, entropy: bool
    ) -> tuple[BatchLogprobs, Tensor]:
        """The batch with scores, and the policy's entropy_BT, zeros unless `entropy`.

        Args:
            policy: scored with gradient.
            batch: rollouts or demonstrations.
            reference: the frozen start; None: it is not scored.
            target: scored where the objective needs it.
            entropy: whether the policy's entropy is computed.
        """
        scores, entropy_BT = self._scores(policy, batch, entropy)
        with torch.no_grad():
            by_reference = None if reference is None else self._scores(reference, batch, entropy=False)[0]
            reads_target = "target" in self.needs and target is not None
            by_target = self._scores(target, batch, entropy=False)[0] if reads_target and target is not None else None
        return BatchLogprobs(batch, scores.logprobs_BT, by_reference, scores.values_BT, by_target), entropy_BT

    def _scores(self, policy: Policy, batch: RolloutBatch, entropy: bool) -> tuple[TokenScores, Tensor]:
        """Scores of drawn tokens, 0 elsewhere."""
        tokens = (batch.prompt_BS, batch.prompt_mask_BS, batch.response_BT, batch.response_mask_BT)
        undrawn_BT = ~batch.mask_BT
        if "values" in self.needs:
            logprobs_BT, values_BT, entropy_BT = policy.token_values(*tokens, entropy=entropy)
            values_BT = values_BT.masked_fill(undrawn_BT, 0.0)
            return TokenScores(logprobs_BT.masked_fill(undrawn_BT, 0.0), values_BT), entropy_BT
        logprobs_BT, entropy_BT = policy.token_logprobs(*tokens, self.sampling, entropy=entropy)
        return TokenScores(logprobs_BT.masked_fill(undrawn_BT, 0.0)), entropy_BT


def with_key_loss(policy: Policy, total: Tensor, metrics: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """(loss, its metrics), with the pull of a prompt pool's keys where there is one (`Policy.pop_key_loss`)."""
    key_loss = policy.pop_key_loss()
    if key_loss is None:
        return total, metrics
    return total + key_loss, {**metrics, "loss/keys": key_loss.detach()}
