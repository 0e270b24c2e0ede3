"""Metrics of one iteration's rollouts: rewards, outcomes, errors, groups, lengths.

Shares and means are over sampled programs; greedy ones have their own `rollout/greedy_*`. A group is all sampled
programs of one problem. Programs that could not be judged are part of `rollout/programs` and of the shares
`rollout/outcome/*` alone; `rollout/outcome/unjudgeable` is logged where there are some.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean, pstdev

from rltf.metrics.outcomes import advantage_metrics, by_problem, variance_shares
from rltf.types import FinishReason, Outcome, Rollout


def feedback_metrics(rollouts: Sequence[Rollout], terms: Iterable[str] = (), top_errors: int = 5) -> dict[str, float]:
    """Metric name -> value; empty without sampled programs.

    Args:
        rollouts: all programs of one iteration.
        terms: reward terms that are reported even when they gave no credit this time.
        top_errors: error types reported, the most frequent first.
    """
    draws = [r for r in rollouts if not r.program.greedy]
    sampled = [r for r in draws if not r.verdict.unjudgeable]
    greedy = [r for r in rollouts if r.program.greedy and not r.verdict.unjudgeable]
    if not sampled:
        return {"rollout/programs": float(len(draws)), **_by_outcome(draws)} if draws else {}
    groups = by_problem(sampled)
    return {
        "rollout/programs": float(len(draws)),
        "rollout/reward_mean": fmean(r.reward for r in sampled),
        "rollout/reward_std": pstdev([r.reward for r in sampled]),
        "rollout/advantage_mean": fmean(r.advantage for r in sampled),
        "rollout/pass_share_mean": fmean(r.verdict.passed_share for r in sampled),
        "rollout/distinct_share": len({(r.program.problem_id, r.program.text) for r in sampled}) / len(sampled),
        "rollout/empty_share": fmean(not r.program.text.strip() for r in sampled),
        **_by_term(sampled, terms),
        **_by_outcome(draws),
        **_by_error(sampled, top_errors),
        **_groups(groups),
        **advantage_metrics(groups),
        **variance_shares(groups),
        **_lengths(sampled),
        **_coverage(sampled),
        **_divergence(sampled),
        **_parts("prefix", [r for r in sampled if r.program.prefix_ids], len(sampled)),
        **_parts("repair", [r for r in sampled if r.program.turn], len(sampled)),
        **_greedy(greedy),
    }


def _coverage(sampled: Sequence[Rollout]) -> dict[str, float]:
    """Mean share of lines that no test executed, over the programs whose coverage was measured."""
    shares = [
        len(r.verdict.unexecuted) / (r.program.text.count("\n") + 1)
        for r in sampled
        if r.verdict.unexecuted is not None
    ]
    return {"rollout/unexecuted_lines": fmean(shares)} if shares else {}


def _divergence(sampled: Sequence[Rollout]) -> dict[str, float]:
    """Share of the wrong answers that were compared with a reference whose diverging statement is known."""
    compared = [r.verdict.divergence for r in sampled if r.verdict.divergence is not None]
    return {"rollout/divergence_share": fmean(d.line is not None for d in compared)} if compared else {}


def _parts(name: str, part: Sequence[Rollout], programs: int) -> dict[str, float]:
    """Of the programs that begin with a prefix, or repair a failed one: their share of all, how many pass, and of how
    many of their groups some do; empty without such programs."""
    if not part:
        return {}
    passed = [fmean(r.verdict.outcome is Outcome.PASSED for r in group) for group in by_problem(part)]
    return {
        f"rollout/{name}/share": len(part) / programs,
        f"rollout/{name}/passed": fmean(r.verdict.outcome is Outcome.PASSED for r in part),
        f"rollout/{name}/some_pass": fmean(0 < share < 1 for share in passed),
    }


def _by_term(sampled: Sequence[Rollout], terms: Iterable[str]) -> dict[str, float]:
    """Mean over programs of each term's credit: a reward, or a span's weight spread over all tokens of the program,
    which for `fine` with alpha = T / span is the paper's R_fine."""
    totals: dict[str, float] = dict.fromkeys(terms, 0.0)
    for rollout in sampled:
        length = len(rollout.program.token_ids)
        for credit in rollout.credits:
            scale = 1.0 if credit.span is None else (credit.span[1] - credit.span[0]) / max(length, 1)
            totals[credit.term] = totals.get(credit.term, 0.0) + credit.value * scale
    return {f"rollout/reward/{term}": total / len(sampled) for term, total in totals.items()}


def _by_outcome(sampled: Sequence[Rollout]) -> dict[str, float]:
    counts = Counter(r.verdict.outcome for r in sampled)
    outcomes = [o for o in Outcome if o is not Outcome.UNJUDGEABLE or counts[o]]
    return {f"rollout/outcome/{outcome}": counts[outcome] / len(sampled) for outcome in outcomes}


def _by_error(sampled: Sequence[Rollout], top: int) -> dict[str, float]:
    counts = Counter(r.verdict.error.type for r in sampled if r.verdict.error is not None)
    return {f"rollout/error/{kind}": count / len(sampled) for kind, count in counts.most_common(top)}


def _groups(groups: Sequence[Sequence[Rollout]]) -> dict[str, float]:
    passed = [fmean(r.verdict.outcome is Outcome.PASSED for r in group) for group in groups]
    flat = [len({r.reward for r in group}) == 1 for group in groups]
    return {
        "rollout/groups/none_pass": fmean(share == 0 for share in passed),
        "rollout/groups/some_pass": fmean(0 < share < 1 for share in passed),
        "rollout/groups/all_pass": fmean(share == 1 for share in passed),
        "rollout/frac_groups_zero_std": fmean(flat),
    }


def _lengths(sampled: Sequence[Rollout]) -> dict[str, float]:
    lengths = [len(r.program.token_ids) for r in sampled]
    return {
        "completion/length_mean": fmean(lengths),
        "completion/length_max": float(max(lengths)),
        "completion/truncated_share": fmean(r.program.finish is FinishReason.LENGTH for r in sampled),
    }


def _greedy(greedy: Sequence[Rollout]) -> dict[str, float]:
    if not greedy:
        return {}
    return {
        "rollout/greedy_reward_mean": fmean(r.reward for r in greedy),
        "rollout/greedy_passed_share": fmean(r.verdict.outcome is Outcome.PASSED for r in greedy),
    }
