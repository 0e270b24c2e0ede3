"""What a search at test time found and spent, with and without it.

n@k, the share of problems solved by n submissions out of k programs, needs no estimator here: all k programs of a
problem are put in order, and the first n different ones are submitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from rltf.metrics.intervals import bootstrap_interval
from rltf.metrics.pass_at_k import pass_at_k


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Of one problem. `True` stands for a program that passes all tests."""

    problem_id: str
    first: tuple[bool, ...]
    """The first round, in the order of draws."""
    final: tuple[bool, ...]
    """The last round: what pass@k is taken of."""
    programs: dict[str, int]
    """Round -> programs drawn."""
    tokens: dict[str, int]
    """Round -> tokens drawn."""
    submitted: tuple[bool, ...] | None = None
    """Different programs of all rounds, the one to submit first in front; None: nothing chose."""
    examples: bool = False
    """The problem has example tests."""


def search_record(name: str, results: Sequence[SearchResult], ks: Sequence[int]) -> dict[str, Any]:
    """What `results.json` says of a search, as plain values.

    Args:
        name: of the search.
        results: of all problems.
        ks: values of k of pass@k, and of n of n@k; those above the number of programs drawn are left out.

    Returns:
        `with` and `without` the search, each with `pass_at_k` and `n_at_k` and their intervals over problems; `budget`:
        programs and tokens drawn by round, and a problem on average; `problems`: how many each round came to. Without a
        search nobody chooses which programs to submit, so n@k is the chance of n random ones, which is pass@n.
    """
    ks = [k for k in ks if k <= min(len(result.first) for result in results)]
    stages = list(dict.fromkeys(stage for result in results for stage in result.programs))
    without = {k: _interval([pass_at_k(len(r.first), sum(r.first), k) for r in results]) for k in ks}
    after = {k: _interval([pass_at_k(len(r.final), sum(r.final), k) for r in results]) for k in ks}
    chosen = [r.submitted for r in results if r.submitted is not None]
    most = max(sum(result.programs.values()) for result in results)
    spent = {
        what: {stage: sum(getattr(r, what).get(stage, 0) for r in results) for stage in stages}
        for what in ("programs", "tokens")
    }
    return {
        "name": name,
        "with": {
            "pass_at_k": {str(k): value for k, value in after.items()},
            "n_at_k": {f"{n}@{most}": _interval([float(any(order[:n])) for order in chosen]) for n in ks if chosen},
        },
        "without": {
            "pass_at_k": {str(k): value for k, value in without.items()},
            "n_at_k": {f"{n}@{len(results[0].first)}": value for n, value in without.items()},
        },
        "budget": {
            **spent,
            "programs_per_problem": round(sum(spent["programs"].values()) / len(results), 3),
            "tokens_per_problem": round(sum(spent["tokens"].values()) / len(results), 3),
        },
        "problems": {
            "all": len(results),
            "with_examples": sum(result.examples for result in results),
            **{stage: sum(bool(r.programs.get(stage)) for r in results) for stage in stages},
        },
    }


def print_search(console: Console, record: dict[str, Any]) -> None:
    """What was spent; where programs were chosen, pass@k and n@k with and without that.

    Args:
        console: where to print.
        record: what `search_record` gave.
    """
    ways = [way for way in ("without", "with") if record["with"]["n_at_k"]]
    table = Table("search", *(f"{way} {record['name']}" for way in ways))
    for k in record["with"]["pass_at_k"]:
        table.add_row(f"pass@{k}", *(_cell(record[way]["pass_at_k"][k]) for way in ways))
    for (without, below), (after, chosen) in zip(
        record["without"]["n_at_k"].items(), record["with"]["n_at_k"].items(), strict=False
    ):
        table.add_row(without if without == after else f"{without} / {after}", _cell(below), _cell(chosen))
    if ways:
        console.print(table)
    budget = record["budget"]
    rounds = ", ".join(
        f"{budget['programs'][stage]} programs of {tokens} tokens {stage}"
        for stage, tokens in budget["tokens"].items()
        if tokens
    )
    console.print(f"budget: {rounds}; {budget['tokens_per_problem']:.0f} tokens a problem")


def _cell(entry: dict[str, float]) -> str:
    return f"{entry['value']:6.1%}  [{entry['low']:.1%}, {entry['high']:.1%}]"


def _interval(values: Sequence[float]) -> dict[str, float]:
    low, high = bootstrap_interval(values)
    return {"value": round(fmean(values), 6), "low": round(low, 6), "high": round(high, 6)}
