"""Rewards of the terms of a reward stack, each by itself: `algorithm.advantages.terms=apart` compares term by term
(GDPO, arXiv 2601.05242), so that no term's size drowns another's differences.

    advantage = (sum_k weight_k * (r_k - baseline_k) / spread_k) / spread of these sums over the harvest

How it deviates from the paper:
1. The paper whitens the sums over the batch; here no mean is taken off, since each term was centred in its group.
2. A term compares the programs that it credits. The paper's terms credit every program; here one may speak of some
   alone (`gate: passed`), and a program of which it says nothing has advantage 0 in it, not that of a reward of 0.
3. `normalize=batch` takes each spread_k over the harvest, too: a term's sizes then count from problem to problem.
A term whose rewards are all equal in a group says nothing there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rltf.types import Credit
from rltf.validation import OptionError, require


def term_names(credits_of_programs: Sequence[Sequence[Credit]]) -> list[str]:
    """Names of the terms that credit whole programs, in the order in which they appear.

    >>> term_names([(Credit("fine", -0.3, (0, 2)),), (Credit("coarse", 1.0), Credit("adaptive", 1.0))])
    ['coarse', 'adaptive']
    """
    names = [credit.term for credits in credits_of_programs for credit in credits if credit.span is None]
    return list(dict.fromkeys(names))


def term_reward(credits: Sequence[Credit], term: str) -> float | None:
    """Sum of a term's credits of the whole program; None where it has none.

    >>> term_reward((Credit("coarse", 1.0), Credit("overlong", -0.5)), "overlong")
    -0.5
    """
    values = [credit.value for credit in credits if credit.span is None and credit.term == term]
    return sum(values, start=0.0) if values else None


def check_term_options(terms: str, weights: Mapping[str, float] | None, normalize: str) -> None:
    """Refuses options of `Advantages` that say nothing about each other.

    Raises:
        OptionError: one sentence with the key.
    """
    require("terms", terms, choices=("together", "apart"))
    if weights is not None and not isinstance(weights, Mapping):
        raise OptionError("weights", weights, "null or a mapping from terms of the reward to numbers of at least 0")
    for term, weight in (weights or {}).items():
        require(f"weights.{term}", weight, at_least=0)
    if terms == "together" and weights:
        raise OptionError("weights", dict(weights), "null with terms=together, which sums rewards as they are")
    if terms == "apart" and normalize == "none":
        raise OptionError(
            "normalize", normalize, "std, sample_std or batch with terms=apart, which divides each term by its spread"
        )
