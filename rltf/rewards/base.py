"""Reward terms, and the stack that applies several. To add a reward: one class with `__call__`, and one yaml in
`configs/reward/` that adds it under `terms` (docs/add-a-reward.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from rltf.types import Credit, Problem, Program, Verdict


class RewardTerm(Protocol):
    """Turns a verdict into credits of the whole program or of spans of its tokens.

    A term may also have an attribute `replaces: tuple[str, ...]`: names of terms that the stack leaves out when this
    one is present; and a method `credit_batch`, as that of the stack, when it is cheaper to credit many programs at
    once.
    """

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> Sequence[Credit]:
        """Credits of one program; may be empty."""
        ...


class RewardStack:
    """The reward of a run: its terms in sequence, except those that another term replaces.

    A program that could not be judged has no credits: no term sees it, whatever the terms are.

    Args:
        terms: name -> term. The name is what metrics, credits and `rollouts.jsonl` call it.

    Raises:
        ValueError: no terms, an object that cannot be called, or only terms that replace each other.

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
        targets = {name: getattr(term, "replaces", ()) for name, term in terms.items()}
        replaced = {target for name in terms for target in targets[name] if target != name}
        self.terms = {name: term for name, term in terms.items() if name not in replaced}
        """The terms that are applied."""
        if not self.terms:
            raise ValueError(f"reward.terms {', '.join(terms)} replace each other: expected one that stays")

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> tuple[Credit, ...]:
        """All credits of one program, each under the name that its term has in the stack."""
        return self.credit_batch([(problem, program, verdict)])[0]

    def credit_batch(self, judged: Sequence[tuple[Problem, Program, Verdict]]) -> list[tuple[Credit, ...]]:
        """All credits of each of several programs, e.g. of an iteration."""
        credits_by_program: list[list[Credit]] = [[] for _ in judged]
        known = [i for i, (_, _, verdict) in enumerate(judged) if not verdict.unjudgeable]
        triples = [judged[i] for i in known]
        for name, term in self.terms.items():
            credit_batch = getattr(term, "credit_batch", None)
            by_term = [term(*triple) for triple in triples] if credit_batch is None else credit_batch(triples)
            for i, term_credits in zip(known, by_term, strict=True):
                credits_by_program[i] += [c if c.term == name else replace(c, term=name) for c in term_credits]
        return [tuple(credits) for credits in credits_by_program]
