"""Reward terms, and the stack that applies several. To add a reward: one class with `__call__`, and one yaml in
`configs/reward/` that adds it under `terms` (docs/add_reward.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

from rltf.rewards.faults import RewardError, check_sum, checked_credits, named_term
from rltf.rewards.gates import check_gate, speaks_of
from rltf.types import Credit, Problem, Program, Rollout, Verdict
from rltf.validation import OptionError


class RewardTerm(Protocol):
    """Turns a verdict into credits of the whole program or of spans of its tokens.

    A term may also have an attribute `replaces: tuple[str, ...]`: names of terms that the stack leaves out when this
    one is present; `gate`, which is None or `passed`, for a term that speaks of programs that pass alone
    (`rltf.rewards.gates`); and a method `credit_batch`, as that of the stack, when it is cheaper to credit many
    programs at once. One that reads the policy or the benchmark has `bind(policy, benchmark)`, and one that learns is a
    `LearningTerm`.
    """

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> Sequence[Credit]:
        """Credits of one program; may be empty."""
        ...


class RewardNetwork(Protocol):
    """What a reward term trains: `rltf.critics.learner.Learner`."""

    def start(self, device: Any, mixed: bool = False) -> None:
        """Moves it to a device and sets its weights; called when RL starts or resumes."""
        ...

    def trained_weights(self) -> int:
        """Number of weights that it trains."""
        ...

    def save(self, path: Path) -> None:
        """Writes the trained weights."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Keeps a state that `state_dict` returned, until `start` restores it."""
        ...


class LearningTerm(RewardTerm, Protocol):
    """A reward term that learns from the programs of an iteration, after it credited them."""

    learner: RewardNetwork | None
    """What it trains; None: nothing in this run, and `learn` returns metrics alone."""

    def learn(self, rollouts: Sequence[Rollout]) -> dict[str, float]:
        """Learns from an iteration's programs; a collective call.

        Args:
            rollouts: of this process, each credited by this term.

        Returns:
            Metrics of the iteration by name, over all processes; the run logs them as `reward/<term>/<name>`.
        """
        ...


class RewardStack:
    """The reward of a run: its terms in sequence, except those that another term replaces.

    A program that could not be judged has no credits: no term sees it, whatever the terms are.

    Args:
        terms: name -> term. The name is what metrics, credits and `rollouts.jsonl` call it.

    Raises:
        ValueError: no terms, an object that cannot be called, an unknown gate, or only terms that replace each other.

    Example:
        >>> from rltf.rewards.coarse import Coarse
        >>> from rltf.types import Outcome
        >>> stack = RewardStack({"outcome": Coarse()})
        >>> stack(None, None, Verdict(Outcome.PASSED, passed=4, total=4))
        (Credit(term='outcome', value=1.0, span=None),)
    """

    def __init__(self, terms: Mapping[str, RewardTerm]) -> None:
        if not terms:
            raise ValueError("reward.terms is empty: name at least one reward, e.g. reward=coarse")
        for name, term in terms.items():
            if not callable(term):
                raise ValueError(
                    f"reward.terms.{name} is {term!r}: expected a node whose _target_ is a reward term, such as "
                    "rltf.rewards.coarse.Coarse"
                )
            try:
                check_gate(getattr(term, "gate", None))
            except OptionError as error:
                raise error.below(f"terms.{name}") from None
        targets = {name: getattr(term, "replaces", ()) for name, term in terms.items()}
        replaced = {target for name in terms for target in targets[name] if target != name}
        self.terms = {name: term for name, term in terms.items() if name not in replaced}
        """The terms that are applied."""
        if not self.terms:
            raise ValueError(f"reward.terms {', '.join(terms)} replace each other: expected one that stays")

    @property
    def learning_terms(self) -> dict[str, LearningTerm]:
        """The terms that learn, by name."""
        return {name: cast(LearningTerm, term) for name, term in self.terms.items() if hasattr(term, "learn")}

    def bind(self, policy: Any, benchmark: Any) -> None:
        """Gives the policy and the benchmark to the terms that read them; called once, before the first program.

        Args:
            policy: of the run, a `rltf.policies.base.Policy`.
            benchmark: of the run, a `rltf.benchmarks.base.Benchmark`.

        Raises:
            OptionError: a term does not go with them.
        """
        for name, term in self.terms.items():
            if (bind := getattr(term, "bind", None)) is not None:
                try:
                    bind(policy, benchmark)
                except OptionError as error:
                    raise error.below(f"reward.terms.{name}") from None

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> tuple[Credit, ...]:
        """All credits of one program, each under the name that its term has in the stack."""
        return self.credit_batch([(problem, program, verdict)])[0]

    def credit_batch(self, judged: Sequence[tuple[Problem, Program, Verdict]]) -> list[tuple[Credit, ...]]:
        """All credits of each of several programs, e.g. of an iteration.

        Raises:
            RewardError: a term raised an error, or gave what is no credit: another object, a value that is not finite,
                a span outside the response.
        """
        credits_by_program: list[list[Credit]] = [[] for _ in judged]
        judgeable = [i for i, (_, _, verdict) in enumerate(judged) if not verdict.unjudgeable]
        for name, term in self.terms.items():
            gates = speaks_of(term, [judged[i][2] for i in judgeable])
            credited = [i for i, is_open in zip(judgeable, gates, strict=True) if is_open]
            credits_of_term = _term_credits(name, term, [judged[i] for i in credited])
            for i, term_credits in zip(credited, credits_of_term, strict=True):
                checked = checked_credits(name, judged[i][1], term_credits)
                credits_by_program[i] += [c if c.term == name else replace(c, term=name) for c in checked]
        for i in judgeable:
            check_sum(judged[i][1], credits_by_program[i])
        return [tuple(credits) for credits in credits_by_program]


def _term_credits(
    name: str, term: RewardTerm, judged: Sequence[tuple[Problem, Program, Verdict]]
) -> Sequence[Sequence[Credit]]:
    """What a term gives to each program, unchecked."""
    credit_batch = getattr(term, "credit_batch", None)
    if credit_batch is None:
        by_program = []
        for triple in judged:
            with named_term(name, triple[1]):
                by_program.append(term(*triple))
        return by_program
    with named_term(name, None):
        of_all: Sequence[Sequence[Credit]] = list(credit_batch(judged))
    if len(of_all) != len(judged):
        raise RewardError(
            f"reward.terms.{name}: credit_batch returned {len(of_all)} items for {len(judged)} programs: expected the "
            "credits of each program"
        )
    return of_all
