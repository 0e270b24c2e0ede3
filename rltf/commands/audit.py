"""`python -m rltf.benchmarks.audit`: what the tests of a benchmark are worth."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from rltf.benchmarks.audit.measure import ProblemAudit, audit
from rltf.benchmarks.mutants import KINDS
from rltf.commands.benchmark_options import named_benchmark, problems_of
from rltf.execution import LocalExecutor
from rltf.metrics.intervals import bootstrap_interval
from rltf.types import Outcome
from rltf.validation import sentence_of

WEAKEST = 10
"""Problems that are named, those whose tests let most mutants pass."""


def main(argv: Sequence[str] | None = None, prog: str = "python -m rltf.benchmarks.audit") -> int:
    """Prints what references and mutants show of the tests; returns 0, or 2 for a mistake."""
    arguments = _parser(prog).parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        benchmark = named_benchmark(arguments.name, arguments.options)
        splits = ("train", "validation", "test") if arguments.split == "all" else (arguments.split,)
        problems = problems_of(benchmark, splits)
        if not problems:
            raise ValueError(f"benchmark={arguments.name} has no {arguments.split} problems")
        if arguments.problems is not None:
            problems = problems[:: max(1, len(problems) // max(1, arguments.problems))][: arguments.problems]
        with LocalExecutor(workers=arguments.workers, timeout=arguments.timeout, max_timeouts=1) as executor:
            audits = audit(problems, executor, arguments.mutants, arguments.seed, arguments.timeout)
    except (ValueError, OSError) as error:
        print(f"error: {sentence_of(error)}", file=sys.stderr)
        return 2
    excluded = {reason: len(ids) for reason, ids in getattr(benchmark, "excluded_ids", {}).items()}
    result = {"benchmark": benchmark.name, "excluded": excluded, **summary(audits)}
    print(json.dumps(result) if arguments.json else table(result))
    return 0


def summary(audits: Sequence[ProblemAudit]) -> dict[str, Any]:
    """Counts of references and mutants; the share of mutants that tests kill, its 95 % interval by a bootstrap over
    problems."""
    with_mutants = [audited for audited in audits if audited.mutants]
    shares = [float(audited.kill_share or 0) for audited in with_mutants]
    judged = [mutant for audited in with_mutants for mutant in audited.mutants]
    by_kind = {kind: [m.killed for m in judged if m.mutant.kind == kind] for kind in KINDS}
    weakest = sorted(with_mutants, key=lambda audited: (float(audited.kill_share or 0), audited.problem.id))
    return {
        "problems": len(audits),
        "tests": sum(len(audited.problem.tests) for audited in audits),
        "references": sum(audited.reference is not None for audited in audits),
        "references_passed": sum(a.reference is not None and a.reference.outcome is Outcome.PASSED for a in audits),
        "exceptions": {audited.problem.id: audited.exception for audited in audits if audited.exception},
        "constant_passes": [audited.problem.id for audited in audits if audited.constant],
        "problems_with_mutants": len(with_mutants),
        "mutants": len(judged),
        "killed": sum(mutant.killed for mutant in judged),
        "outcomes": dict(Counter(mutant.outcome.value for mutant in judged).most_common()),
        "kill_share": fmean(shares) if shares else None,
        "interval": [float(end) for end in bootstrap_interval(shares)] if len(shares) > 1 else None,
        "kill_share_of_first": {n: fmean(_of_first(with_mutants, n)) for n in (1, 2, 3)} if shares else {},
        "tests_needed": sum(audited.needed for audited in with_mutants),
        "tests_of_problems_with_mutants": sum(len(audited.problem.tests) for audited in with_mutants),
        "all_killed": sum(share == 1 for share in shares),
        "kinds": {kind: [sum(killed), len(killed)] for kind, killed in by_kind.items() if killed},
        "weakest": {audited.problem.id: audited.kill_share for audited in weakest[:WEAKEST] if audited.kill_share != 1},
    }


def _of_first(audits: Sequence[ProblemAudit], count: int) -> list[float]:
    return [float(audited.kill_share_of_first(count) or 0) for audited in audits]


def table(result: dict[str, Any]) -> str:
    """The summary as lines of text."""
    lines = [
        f"{result['benchmark']}: {result['problems']} problems, {result['tests']} tests",
        *(f"  left out: {count} {reason}" for reason, count in result["excluded"].items()),
        f"references that pass: {result['references_passed']} of {result['references']}",
        *(f"  {name}: {reason[:160]}" for name, reason in result["exceptions"].items()),
        f"a constant program passes: {len(result['constant_passes'])} problems",
    ]
    if not result["mutants"]:
        return "\n".join([*lines, "no mutants: no reference in Python passes, or --mutants 0"])
    first = ", ".join(f"{share:.1%} by the first {n}" for n, share in result["kill_share_of_first"].items())
    ends = "" if result["interval"] is None else " [{:.1%}, {:.1%}]".format(*result["interval"])
    outcomes = ", ".join(f"{count} {name}" for name, count in result["outcomes"].items())
    lines += [
        f"mutants: {result['mutants']} of {result['problems_with_mutants']} problems; {outcomes}",
        f"killed: {result['kill_share']:.1%}{ends} of a problem's mutants; {first}",
        f"tests that are needed for that: {result['tests_needed']} of {result['tests_of_problems_with_mutants']}",
        f"problems all of whose mutants are killed: {result['all_killed']} of {result['problems_with_mutants']}",
        "by kind: " + ", ".join(f"{kind} {a / b:.0%} of {b}" for kind, (a, b) in result["kinds"].items()),
        *(f"  {name}: {share:.0%} killed" for name, share in result["weakest"].items()),
        "A mutant that passes may be the same function in other words: it shows where to look, no more.",
    ]
    return "\n".join(lines)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Judges the references of a benchmark, and mutants of them, by its tests.",
        epilog="example: python -m rltf.benchmarks.audit mbpp path=mbpp.jsonl --mutants 12",
    )
    parser.add_argument("name", metavar="NAME", help="benchmark, as in benchmark=NAME; NAME=FILE gives its file, too")
    parser.add_argument("options", nargs="*", metavar="key=value", help="keys of the benchmark, e.g. path=mbpp.jsonl")
    parser.add_argument("--split", default="all", choices=("all", "train", "validation", "test"))
    parser.add_argument("--problems", type=int, help="so many problems, evenly spaced (default: all)")
    parser.add_argument(
        "--mutants", type=int, default=12, help="of a problem at most; 0: references alone (default: 12)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice of mutants")
    parser.add_argument("--timeout", type=float, default=4.0, help="seconds a test at most (default: 4)")
    parser.add_argument("--workers", type=int, help="programs at the same time (default: twice the cores)")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of text")
    return parser
