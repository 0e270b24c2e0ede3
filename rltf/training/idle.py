"""Iterations that teach nothing: told when ten come in a row, since such a run ends with exit code 0 all the same."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from rltf.training.ranks import all_gather
from rltf.types import RolloutBatch

log = logging.getLogger(__name__)

WARN_AFTER = 10
"""Iterations in a row."""


class IdleIterations:
    """Counts iterations in a row without a gradient, or whose judged programs weigh nothing beside demonstrations.

    Marks stay on the device until the iteration ends: reading one would wait for the device in every step.
    """

    def __init__(self) -> None:
        self._weighed: list[Tensor] = []
        self._moved: list[Tensor] = []
        self._weightless = self._motionless = 0

    def add_programs(self, batch: RolloutBatch) -> None:
        """Notes whether a token of a micro-batch of programs has a weight."""
        self._weighed.append((batch.weight_BT.detach() * batch.mask_BT).ne(0).any())

    def add_step(self, gradient_norm: Tensor) -> None:
        """Notes whether a step has a gradient; one that is not finite counts as a gradient."""
        self._moved.append(gradient_norm.detach().ne(0))

    def end_iteration(self) -> None:
        """Counts the iteration, and warns when it is the tenth in a row; a collective call."""
        weighed, moved = self._pop(self._weighed), self._pop(self._moved)
        self._weightless = 0 if weighed else self._weightless + 1
        self._motionless = 0 if moved else self._motionless + 1
        if self._weightless == WARN_AFTER:
            log.warning(
                "judged programs have taught nothing in %d iterations in a row: every one earned what it is compared "
                "with (rollout/frac_groups_zero_std), so expected problems that some programs pass, more "
                "rollouts.samples, or a reward that tells failed programs apart",
                WARN_AFTER,
            )
        elif self._motionless == WARN_AFTER and not self._weightless:
            log.warning(
                "the gradient of every step of %d iterations in a row was 0: nothing is learned "
                "(rl/clipped_share and rl/outside_support_share say how many tokens of programs get no gradient)",
                WARN_AFTER,
            )

    @staticmethod
    def _pop(marks: list[Tensor]) -> bool:
        """Whether a mark of any process is set; True where there is none, which says nothing."""
        is_set = bool(torch.stack(marks).any()) if marks else None
        marks.clear()
        by_rank = [mark for mark in all_gather(is_set) if mark is not None]
        return any(by_rank) or not by_rank
