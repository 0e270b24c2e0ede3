"""What programs earn by their outcome, and which term of the reward decides it.

A reward may pay more for a program that passes nothing than for one that passes: the spread of a group in which nobody
passes is small, so dividing by it makes "runs and answers wrong" worth more there than a pass is among passes. These
figures show it, and `rltf.callbacks.rollout_writer` warns of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean, pvariance

from rltf.types import Outcome, Rollout


def by_problem(rollouts: Iterable[Rollout]) -> list[list[Rollout]]:
    """The programs of each problem."""
    groups: dict[str, list[Rollout]] = defaultdict(list)
    for rollout in rollouts:
        groups[rollout.program.problem_id].append(rollout)
    return list(groups.values())


def advantage_metrics(groups: Sequence[Sequence[Rollout]]) -> dict[str, float]:
    """Mean advantage and length of the programs of each outcome, in all groups; and in groups in which no program
    passes, the mean advantage.

    Args:
        groups: sampled, judged programs of each problem.
    """
    metrics: dict[str, float] = {}
    outcomes = _by_outcome([r for group in groups for r in group])
    for outcome, rollouts in outcomes.items():
        metrics[f"rollout/advantage_by_outcome/{outcome}"] = fmean(map(mean_weight, rollouts))
        metrics[f"completion/length_by_outcome/{outcome}"] = fmean(len(r.program.token_ids) for r in rollouts)
    for outcome, rollouts in _by_outcome([r for group in groups if not _passes(group) for r in group]).items():
        metrics[f"rollout/advantage_by_outcome/none_pass/{outcome}"] = fmean(map(mean_weight, rollouts))
    return metrics


def variance_shares(groups: Sequence[Sequence[Rollout]]) -> dict[str, float]:
    """`reward/<term>/share_of_variance`: the share of each whole-program term in the differences of reward within
    groups, Cov(term, reward) / Var(reward) of values less their group's mean. The shares add up to 1; one below 0 works
    against the others. Empty where all rewards of each group are equal.
    """
    terms = dict.fromkeys(c.term for group in groups for r in group for c in r.credits if c.span is None)
    rewards = _centred([[r.reward for r in group] for group in groups])
    variance = pvariance(rewards, mu=0.0) if rewards else 0.0
    if not variance:
        return {}
    shares = {}
    for term in terms:
        values = _centred([[_term_reward(r, term) for r in group] for group in groups])
        covariance = fmean(value * reward for value, reward in zip(values, rewards, strict=True))
        shares[f"reward/{term}/share_of_variance"] = covariance / variance
    return shares


def is_inverted(groups: Sequence[Sequence[Rollout]]) -> bool:
    """True if programs that pass no test earn more, where no program of their problem passes, than programs that pass
    do where others fail; False where there are no two such kinds to compare.

    Args:
        groups: sampled, judged programs of each problem.
    """
    live = [g for g in groups if _passes(g) and any(r.verdict.outcome is not Outcome.PASSED for r in g)]
    passes = [mean_weight(r) for group in live for r in group if r.verdict.outcome is Outcome.PASSED]
    without_a_test = [r for group in groups if not _passes(group) for r in group if not r.verdict.passed]
    earned = [fmean(map(mean_weight, rollouts)) for rollouts in _by_outcome(without_a_test).values()]
    return bool(passes and earned) and max(earned) > fmean(passes)


def mean_weight(rollout: Rollout) -> float:
    """The advantage of a program; where `credit` sets the weights of its tokens, their mean."""
    if not rollout.weights:
        return rollout.advantage
    excluded = set(rollout.excluded_tokens)
    weights = [weight for token, weight in enumerate(rollout.weights) if token not in excluded]
    return fmean(weights) if weights else 0.0


def _term_reward(rollout: Rollout, term: str) -> float:
    return sum((c.value for c in rollout.credits if c.span is None and c.term == term), start=0.0)


def _passes(group: Sequence[Rollout]) -> bool:
    return any(r.verdict.outcome is Outcome.PASSED for r in group)


def _by_outcome(rollouts: Iterable[Rollout]) -> dict[Outcome, list[Rollout]]:
    outcomes: dict[Outcome, list[Rollout]] = defaultdict(list)
    for rollout in rollouts:
        outcomes[rollout.verdict.outcome].append(rollout)
    return outcomes


def _centred(groups: Sequence[Sequence[float]]) -> list[float]:
    return [value - fmean(group) for group in groups for value in group]
