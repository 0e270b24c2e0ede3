"""What may be plugged into the pipeline: how a program is begun (`curriculum=`), and what each of its tokens is worth
(`credit=`). Each option is one class in one file and one yaml of its group; the pipeline and the loop know these two
protocols and nothing else of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from rltf.types import Problem, Program, Rollout, Sampling

if TYPE_CHECKING:
    from rltf.policies.base import Policy


class TokenCredit(Protocol):
    """Says what each token of a judged program is worth: the last step before the buffer."""

    @property
    def needs_coverage(self) -> bool:
        """True when the sandbox must say which lines the tests executed (`Verdict.unexecuted`)."""
        ...

    @property
    def critic_kind(self) -> Literal["outcome", "value"] | None:
        """The kind of critic without which it cannot do (`Rollout.critic`)."""
        ...

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The rollouts of one harvest, all problems together so that a network is asked once, with `weights`."""
        ...


class Critic(Protocol):
    """Says how programs will end or what they will earn, before `credit` weighs their tokens (`rltf.critics`)."""

    @property
    def kind(self) -> Literal["outcome", "value"]:
        """What it predicts."""
        ...

    @property
    def has_learned(self) -> bool:
        """True once it knows more than chance."""
        ...

    def read(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The rollouts of one harvest with `critic`."""
        ...


class Curriculum(Protocol):
    """Says how much of a training problem's answer the policy is given."""

    def start(self, problem: Problem) -> tuple[int, ...]:
        """Token ids that the next programs of the problem begin with; none: the policy writes everything."""
        ...

    def update(self, problem: Problem, rollouts: Sequence[Rollout]) -> None:
        """Learns how the programs of one visit fared, in the order of harvests."""
        ...

    def metrics(self) -> dict[str, float]:
        """Where the curriculum stands; each name answers a question."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Plain builtins."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues where `state_dict` was taken."""
        ...


@runtime_checkable
class Explorer(Protocol):
    """Finds programs to train on in more than one round (`inference=` of `train.py`)."""

    def explore(
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
        """Index of a problem and one of its programs: one for each entry of `draws`, and the greedy one. See
        `RolloutPipeline.start_rollouts`, which has all of them judged."""
        ...


class PrefixCritic(Protocol):
    """Says how far a program can be trusted up to each of its tokens: what search at test time asks a critic."""

    def start(self, device: Any) -> None:
        """Comes before the first question; `device` is the policy's."""
        ...

    def __call__(self, programs: Sequence[Program]) -> list[list[float]]:
        """One number for each drawn token of each program: trust in the program up to and with that token, e.g. the
        probability that it passes. Only their order matters. All programs of a search at once, so that a network is
        asked in batches."""
        ...
