"""Supervised training on the policy's own programs: `algorithm=raft` on those that pass, `algorithm=ssd` on all.

    L = -(1/N) sum_t log p_t        over the N tokens of accepted programs; the others are no part of the loss

Control arms: what comes of the same programs and optimiser steps without rewards, baselines or blame. `raft` is
rejection sampling (RAFT, arXiv 2304.06767; expert iteration), `ssd` simple self-distillation (arXiv 2604.01193). How
they deviate from the papers:
1. RAFT keeps the best program of each problem by a reward model; here every program that passes its tests is kept, so
   that problems count by how many of their programs pass.
2. SSD draws once from the start; here the present policy draws in every iteration, and `rollouts.online=false` is the
   paper's way. It draws one program a problem, here there are `rollouts.samples`.
3. Programs that could not be judged are left out of both, as of everything; SSD's paper runs none.
4. SSD learns nothing in expectation from the distribution that it trains: `configs/algorithm/ssd.yaml` draws from a
   sharpened and truncated one, and log-probs are those of the policy's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from rltf.types import Outcome, Rollout
from rltf.validation import require

Accept = Literal["passed", "all"]


@dataclass(frozen=True)
class OwnSamplesCredit:
    """Weight 1 for the tokens of accepted programs, none for those of the others: rewards are not read.

    Args:
        accept: `passed`: programs that pass all tests; `all`: every one.

    Example:
        >>> OwnSamplesCredit("some")
        Traceback (most recent call last):
        rltf.validation.OptionError: accept is 'some': expected passed or all
    """

    accept: Accept = "passed"

    def __post_init__(self) -> None:
        require("accept", self.accept, choices=get_args(Accept))

    @property
    def needs_coverage(self) -> bool:
        """False: it does not matter which lines the tests executed."""
        return False

    @property
    def needs_reference(self) -> bool:
        """False: nothing is compared with a reference program."""
        return False

    @property
    def critic_kind(self) -> None:
        """None: it reads no critic."""

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The rollouts with new `weights`; all tokens of those that are not accepted are excluded."""
        return [self._weigh(rollout) for rollout in rollouts]

    def _weigh(self, rollout: Rollout) -> Rollout:
        tokens = len(rollout.program.token_ids)
        if self.accept == "all" or rollout.verdict.outcome is Outcome.PASSED:
            return replace(rollout, weights=(1.0,) * tokens, excluded_tokens=())
        return replace(rollout, weights=(0.0,) * tokens, excluded_tokens=tuple(range(tokens)))
