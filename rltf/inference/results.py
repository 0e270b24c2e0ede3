"""Results of searches at test time: pass@k and n@k with and without the search, and its budget.

n@k, the share of problems solved by n submissions out of k programs, needs no estimator here: all k programs of a
problem are ordered, and the first n of different text are submitted."""

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
    """Result of a search for one problem."""

    problem_id: str
    first_round: tuple[bool, ...]
    """Whether each program of the first round passes all tests, in the order of draws."""
    last_round: tuple[bool, ...]
    """The same for the last round, which pass@k is computed from."""
    programs: dict[str, int]
    """Round -> number of programs drawn."""
    tokens: dict[str, int]
    """Round -> number of tokens drawn."""
    submissions: tuple[bool, ...] | None = None
    """Whether each program passes all tests, of all rounds in the order of submission; None: there was no search."""
    has_examples: bool = False
    """Whether the problem has example tests."""


def search_record(name: str, results: Sequence[SearchResult], ks: Sequence[int]) -> dict[str, Any]:
    """The entry of a search in `results.json`, as plain values.

    Args:
        name: the search's name in `inference=`.
        results: results of all problems.
        ks: values of k of pass@k, and of n of n@k; those above the number of programs drawn are left out.

    Returns:
        `with` and `without` the search, each with `pass_at_k` and `n_at_k` and their intervals over problems; `budget`:
        programs and tokens drawn, by round and per problem; `problems`: number of problems in each round. Without a
        search the submitted programs are random ones, so n@k is pass@n.
    """
    ks = [k for k in ks if k <= min(len(result.first_round) for result in results)]
    rounds = list(dict.fromkeys(name for result in results for name in result.programs))
    without = {k: _interval([pass_at_k(len(r.first_round), sum(r.first_round), k) for r in results]) for k in ks}
    with_search = {k: _interval([pass_at_k(len(r.last_round), sum(r.last_round), k) for r in results]) for k in ks}
    submissions = [r.submissions for r in results if r.submissions is not None]
    most = max(sum(result.programs.values()) for result in results)
    budget = {
        unit: {name: sum(getattr(r, unit).get(name, 0) for r in results) for name in rounds}
        for unit in ("programs", "tokens")
    }
    return {
        "name": name,
        "with": {
            "pass_at_k": {str(k): value for k, value in with_search.items()},
            "n_at_k": {
                f"{n}@{most}": _interval([float(any(order[:n])) for order in submissions]) for n in ks if submissions
            },
        },
        "without": {
            "pass_at_k": {str(k): value for k, value in without.items()},
            "n_at_k": {f"{n}@{len(results[0].first_round)}": value for n, value in without.items()},
        },
        "budget": {
            **budget,
            "programs_per_problem": round(sum(budget["programs"].values()) / len(results), 3),
            "tokens_per_problem": round(sum(budget["tokens"].values()) / len(results), 3),
        },
        "problems": {
            "all": len(results),
            "with_examples": sum(result.has_examples for result in results),
            **{name: sum(bool(r.programs.get(name)) for r in results) for name in rounds},
        },
    }


def print_search(console: Console, record: dict[str, Any]) -> None:
    """Prints the budget of a search and, if it ordered its programs, pass@k and n@k with and without it.

    Args:
        console: where to print.
        record: a record that `search_record` returned.
    """
    columns = [column for column in ("without", "with") if record["with"]["n_at_k"]]
    table = Table("search", *(f"{column} {record['name']}" for column in columns))
    for k in record["with"]["pass_at_k"]:
        table.add_row(f"pass@{k}", *(_cell(record[column]["pass_at_k"][k]) for column in columns))
    for (name_without, entry_without), (name_with, entry_with) in zip(
        record["without"]["n_at_k"].items(), record["with"]["n_at_k"].items(), strict=False
    ):
        name = name_without if name_without == name_with else f"{name_without} / {name_with}"
        table.add_row(name, _cell(entry_without), _cell(entry_with))
    if columns:
        console.print(table)
    budget = record["budget"]
    rounds = ", ".join(
        f"{budget['programs'][name]} programs of {tokens} tokens {name}"
        for name, tokens in budget["tokens"].items()
        if tokens
    )
    console.print(f"budget: {rounds}; {budget['tokens_per_problem']:.0f} tokens a problem")


def _cell(entry: dict[str, float]) -> str:
    return f"{entry['value']:6.1%}  [{entry['low']:.1%}, {entry['high']:.1%}]"


def _interval(values: Sequence[float]) -> dict[str, float]:
    low, high = bootstrap_interval(values)
    return {"value": round(fmean(values), 6), "low": round(low, 6), "high": round(high, 6)}
