"""Judged programs become rollouts with an advantage: compared with the others of their problem, within one harvest (the
programs of all problems of an iteration).

    reward    = sum of the whole-program credits
    advantage = (reward - baseline) / spread, where `normalize` asks for one
    weight of a token = advantage + the span credits that cover it

Span credits meet no baseline and no normalisation (RLTF, equation 4). A token credit (`rltf.credit`) replaces the last
line.

`normalize=batch` divides by the standard deviation of the harvest's advantages (REINFORCE++, arXiv 2501.03262; LitePPO,
2508.08221), so that the size of a difference counts: a group's own spread makes a tie-breaker as large as a pass.
How it deviates:
1. REINFORCE++ also takes the harvest's mean off. Here `baseline` does all centring; with `group_mean` that mean is 0.
2. LitePPO divides by the spread of rewards, which grows with the distance between problems; here, as in REINFORCE++, by
   that of advantages.
3. A harvest is what one process has judged at once: each rank, and each round of dynamic sampling, has its own spread.

`groups=live`: groups in which nobody passes teach nothing. Their advantages are 0, credits with a span are dropped. All
that a graded reward says there is which failure is better, most often that is to compile, and blame for errors has no
praise beside it: on hard problems both end in a policy that passes nothing (docs/results/feedback.md). DAPO
(2503.14476, section 3.2) leaves such groups out, too, where rewards are pass or fail. How it deviates: nothing is drawn
in their place; baselines with a memory see them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rltf.algorithms.baselines import BASELINES
from rltf.algorithms.group_rewards import Baseline, GroupRewards
from rltf.algorithms.spreads import SPREADS, group_spread, harvest_spread
from rltf.algorithms.terms import check_term_options, term_names, term_reward
from rltf.types import Credit, Outcome, Program, Rollout, Verdict
from rltf.validation import OptionError, require

CreditedProgram = tuple[Program, Verdict, tuple[Credit, ...]]
"""A judged program and its credits."""


@dataclass(frozen=True)
class CreditedGroup:
    """One problem's judged programs of one iteration, with their credits."""

    programs: Sequence[CreditedProgram]
    """At most one of them greedy. The greedy program becomes a rollout too, but is part of no mean or spread."""
    incomplete: bool = False
    """Programs of the group could not be judged and are left out."""


Comparison = tuple[float, float]
"""Baseline and advantage of a program."""


class Advantages:
    """Turns the judged programs of one iteration into rollouts.

    Args:
        baseline: `best_so_far`, `greedy_latest`, `group_mean`, `leave_one_out`, `max_of_k` or `none`.
        normalize: `none`, `std` (population) or `sample_std` of the group's sampled rewards, or `batch`: population
            spread of the harvest's sampled advantages. Where all are equal there is nothing to normalise by: advantages
            are left as they are.
        groups: that teach: `all`, or `live`: those in which a program passes.
        clip: bound of |advantage|, applied last; None: none.
        terms: `together`: the sum of all terms is compared; `apart`: each term by itself (`rltf.algorithms.terms`).
        weights: with `apart`: term -> its weight in the sum of advantages; a term that is not named has 1.
        k: with `max_of_k`: programs of which the best counts; None: 2.

    Example:
        >>> advantages = Advantages(baseline="greedy_latest")
        >>> advantages.needs_greedy
        True
    """

    def __init__(
        self,
        baseline: str = "best_so_far",
        normalize: str = "none",
        clip: float | None = None,
        terms: str = "together",
        weights: Mapping[str, float] | None = None,
        k: int | None = None,
        groups: str = "all",
    ) -> None:
        require("baseline", baseline, choices=BASELINES)
        require("normalize", normalize, choices=SPREADS)
        require("groups", groups, choices=("all", "live"))
        require("clip", clip, above=0, optional=True)
        check_term_options(terms, weights, normalize)
        if k is not None and baseline != "max_of_k":
            raise OptionError("k", k, f"null with baseline={baseline}: max_of_k alone compares sets of k programs")
        self._make_baseline = partial(BASELINES[baseline], **({} if k is None else {"k": k}))
        self._baseline = self._make_baseline()
        self._term_baselines: dict[str, Baseline] = {}
        self._normalize, self._clip, self._apart = normalize, clip, terms == "apart"
        self._weights = dict(weights or {})
        self._live_only = groups == "live"

    @property
    def needs_greedy(self) -> bool:
        """True when every group needs its greedy program."""
        return self._baseline.needs_greedy

    @property
    def least_samples(self) -> int:
        """Sampled programs of a problem below which every advantage would be 0, or none could be computed."""
        return self._baseline.least_samples

    def __call__(self, harvest: Sequence[CreditedGroup]) -> list[list[Rollout]]:
        """Rollouts of each group, in its order.

        Args:
            harvest: the groups of one iteration.
        """
        rewards = [[whole_program_reward(credits) for _, _, credits in group.programs] for group in harvest]
        compared = self._compare_terms(harvest) if self._apart else self._compare(harvest, rewards, self._baseline)
        return [
            [
                Rollout(
                    program, verdict, self._counted(group, credits), reward, baseline, self._clip_advantage(advantage)
                )
                for (program, verdict, credits), reward, (baseline, advantage) in zip(
                    group.programs, group_rewards, pairs, strict=True
                )
            ]
            for group, group_rewards, pairs in zip(harvest, rewards, compared, strict=True)
        ]

    def _teaches(self, group: CreditedGroup) -> bool:
        return not self._live_only or any(verdict.outcome is Outcome.PASSED for _, verdict, _ in group.programs)

    def _counted(self, group: CreditedGroup, credits: tuple[Credit, ...]) -> tuple[Credit, ...]:
        return credits if self._teaches(group) else tuple(credit for credit in credits if credit.span is None)

    def _compare_terms(self, harvest: Sequence[CreditedGroup]) -> list[list[Comparison]]:
        """Sums over the terms, the advantages divided by the harvest's spread."""
        sums = [[(0.0, 0.0)] * len(group.programs) for group in harvest]
        for term in term_names([credits for group in harvest for _, _, credits in group.programs]):
            rule = self._term_baselines.setdefault(term, self._make_baseline())
            rewards = [[term_reward(credits, term) for _, _, credits in group.programs] for group in harvest]
            weight = self._weights.get(term, 1.0)
            sums = [
                [(b + baseline, a + weight * advantage) for (b, a), (baseline, advantage) in zip(*pairs, strict=True)]
                for pairs in zip(sums, self._compare(harvest, rewards, rule), strict=True)
            ]
        return _divided_by_spread(harvest, sums)

    def _compare(
        self, harvest: Sequence[CreditedGroup], rewards: Sequence[Sequence[float | None]], rule: Baseline
    ) -> list[list[Comparison]]:
        """Baselines and advantages by these rewards; (0, 0) for a program that has None."""
        compared = [self._compare_group(*pair, rule) for pair in zip(harvest, rewards, strict=True)]
        return _divided_by_spread(harvest, compared) if self._normalize == "batch" else compared

    def _compare_group(self, group: CreditedGroup, rewards: Sequence[float | None], rule: Baseline) -> list[Comparison]:
        programs = [program for program, _, _ in group.programs]
        assert len({program.problem_id for program in programs}) <= 1, "a group is of one problem"
        assert sum(program.greedy for program in programs) <= 1, "a group has at most one greedy program"
        rewarded = {i: reward for i, reward in enumerate(rewards) if reward is not None}
        if not rewarded:
            return [(0.0, 0.0)] * len(programs)
        sampled = [i for i in rewarded if not programs[i].greedy]
        greedy = [i for i in rewarded if programs[i].greedy]
        sampled_rewards = tuple(rewarded[i] for i in sampled)
        group_rewards = GroupRewards(
            _history_key(programs[0]),
            sampled_rewards,
            rewarded[greedy[0]] if greedy else None,
            group.incomplete or len(rewarded) < len(programs),
        )
        baselines = dict(zip(sampled + greedy, rule(group_rewards), strict=True))
        spread = group_spread(sampled_rewards, self._normalize)
        live = self._teaches(group)
        return [
            (baselines[i], (rewarded[i] - baselines[i]) / spread if live else 0.0) if i in rewarded else (0.0, 0.0)
            for i in range(len(programs))
        ]

    def state_dict(self) -> dict[str, Any]:
        """The baseline's state for a checkpoint, in plain builtins; with `apart` under `terms`, by term."""
        if self._apart:
            return {"terms": {term: rule.state_dict() for term, rule in self._term_baselines.items()}}
        return self._baseline.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned."""
        if not self._apart:
            self._baseline.load_state_dict(state)
            return
        self._term_baselines = {term: self._make_baseline() for term in state["terms"]}
        for term, rule in self._term_baselines.items():
            rule.load_state_dict(state["terms"][term])

    def _clip_advantage(self, advantage: float) -> float:
        return advantage if self._clip is None else max(-self._clip, min(self._clip, advantage))


def _divided_by_spread(
    harvest: Sequence[CreditedGroup], compared: Sequence[Sequence[Comparison]]
) -> list[list[Comparison]]:
    """The same with advantages divided by the population spread of those of sampled programs, where they differ."""
    sampled = [
        advantage
        for group, pairs in zip(harvest, compared, strict=True)
        for (program, _, _), (_, advantage) in zip(group.programs, pairs, strict=True)
        if not program.greedy
    ]
    spread = harvest_spread(sampled)
    return [[(baseline, advantage / spread) for baseline, advantage in pairs] for pairs in compared]


def _history_key(program: Program) -> str:
    """Key of the problem's rewards in the baseline's history: a program that starts with a prefix is another task than
    one that the policy writes whole."""
    return program.problem_id if not program.prefix_ids else f"{program.problem_id}+{len(program.prefix_ids)}"


def whole_program_reward(credits: Sequence[Credit]) -> float:
    """Sum of the credits without a span."""
    return sum((credit.value for credit in credits if credit.span is None), start=0.0)


def token_weights(rollout: Rollout) -> list[float]:
    """Weight of each response token: `rollout.weights` where they are set, else the advantage plus the value of every
    span credit that covers the token."""
    if rollout.weights:
        return list(rollout.weights)
    weights = [rollout.advantage] * len(rollout.program.token_ids)
    for credit in rollout.credits:
        if credit.span is not None:
            for t in range(*credit.span):
                weights[t] += credit.value
    return weights
