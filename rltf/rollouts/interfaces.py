"""Protocols of the components that a config may add to the pipeline: `credit=` weighs single tokens, `critic=` predicts
outcomes or returns, `curriculum=` begins training programs and may choose their problems, `inference=` draws them in
several rounds. An implementation is one class in one file and one yaml of its group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from rltf.types import Problem, Program, Rollout, Sampling

if TYPE_CHECKING:
    from rltf.policies.base import Policy


class TokenCredit(Protocol):
    """Rule that sets `Rollout.weights`: how much each token of a judged program weighs in the loss.

    Implementations are in `rltf.credit`; the config nodes `algorithm.credit` (part of an algorithm: PPO's GAE) and
    `credit` (an addition to any algorithm) hold one each and run in this order. The record `rltf.types.Credit` is
    something else: the value that a reward term gives, which these rules read.
    """

    @property
    def needs_coverage(self) -> bool:
        """True when it reads which lines the tests executed (`Verdict.unexecuted`)."""
        ...

    @property
    def needs_reference(self) -> bool:
        """True when it reads where a program parts from a reference program (`Verdict.divergence`)."""
        ...

    @property
    def critic_kind(self) -> Literal["outcome", "value"] | None:
        """Kind of critic whose predictions (`Rollout.critic`) it reads; None: it reads none."""
        ...

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The same rollouts with `weights`.

        Args:
            rollouts: those of all problems of one iteration, so that a network runs once.
        """
        ...


class RolloutCritic(Protocol):
    """Predicts outcomes or returns of programs, before `credit` weighs their tokens (`rltf.critics`)."""

    @property
    def kind(self) -> Literal["outcome", "value"]:
        """`outcome`: how a program ends; `value`: the reward still to come at each token."""
        ...

    @property
    def has_learned(self) -> bool:
        """True once it was trained, in this run or by the file it started from."""
        ...

    def add_predictions(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The same rollouts with `critic`, the prediction for each."""
        ...


class Curriculum(Protocol):
    """Chooses how much of a training problem's reference program the policy is given."""

    def prefix_ids(self, problem: Problem) -> tuple[int, ...]:
        """Token ids that the problem's next programs begin with; empty: the policy writes the whole program."""
        ...

    def update(self, problem: Problem, rollouts: Sequence[Rollout]) -> None:
        """Updates the problem's state by its judged programs of one iteration; called in the order of iterations."""
        ...

    def metrics(self) -> dict[str, float]:
        """Metrics of the curriculum's present state, by full name (`curriculum/...`)."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint, in plain builtins."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned."""
        ...


class NextProblems(Protocol):
    """Says which of a rank's training problems come next. The one without a plan is `ProblemOrder`."""

    def __len__(self) -> int:
        """Number of this rank's problems."""
        ...

    def start_iteration(self, iteration: int, iterations: int) -> None:
        """Called before the problems of an iteration are drawn, and again before each further draw in it. A supervised
        warm-up, which has every problem in its turn, calls it never.

        Args:
            iteration: 0-based.
            iterations: of the whole run.
        """
        ...

    def next_indices(self, n: int) -> list[int]:
        """The next `n` indices into the problems of all ranks."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint, in plain builtins."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned.

        Raises:
            ValueError: it is of other problems, another seed or another plan.
        """
        ...


@runtime_checkable
class ProblemPlan(Protocol):
    """Decides the order of training problems and of demonstrations. What it learns of judged programs it is told as a
    `Curriculum`, which a class may be as well: `Components` takes a curriculum with these methods as the plan."""

    def problem_order(self, problems: Sequence[Problem], seed: int, rank: int, world_size: int) -> NextProblems:
        """The order of this rank's training problems.

        Args:
            problems: of all ranks.
            seed: of the run.
            rank: this process, 0-based.
            world_size: number of processes.

        Raises:
            ValueError: there are too few problems.
        """
        ...

    def demonstration_order(self, problems: Sequence[Problem], seed: int, rank: int, world_size: int) -> NextProblems:
        """The order of this rank's demonstrations; arguments as of `problem_order`, with the problem of each
        demonstration: one that has several comes as often."""
        ...


@runtime_checkable
class MultiRoundSampler(Protocol):
    """Draws training programs in more than one round (`inference=` of `train.py`)."""

    def draw_in_rounds(
        self,
        problems: Sequence[Problem],
        draws: Sequence[int],
        sampling: Sampling,
        seed: int,
        *,
        greedy: bool,
        version: int,
        policy: Policy | None,
    ) -> Iterable[tuple[int, Program]]:
        """Pairs of the index of a problem and one of its programs: one program for each entry of `draws`, and the
        greedy one. Arguments as of `RolloutPipeline.start_rollouts`, which has the programs judged."""
        ...


class PrefixCritic(Protocol):
    """Estimates, for search at test time, how likely each prefix of a program is to lead to a program that passes."""

    def start(self, device: Any) -> None:
        """Moves the critic to the policy's `device`; called before the first estimate."""
        ...

    def __call__(self, programs: Sequence[Program]) -> list[list[float]]:
        """One number for each drawn token of each program: the estimate for the program up to and with that token,
        e.g. the probability that it passes. Only the order of the numbers matters.

        Args:
            programs: all programs of a search at once, so that a network runs on batches.
        """
        ...
