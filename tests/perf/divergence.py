"""What `credit=divergence` finds and what it costs: programs with one mistake whose line is known; prints JSON.

    python tests/perf/divergence.py [--problems 150] [--mistakes 3] [--rounds 5] [--data ../shared/data]
        [--benchmarks mini mbpp humaneval apps solutions]

The mistakes are single edits of reference programs (`rltf.benchmarks.mini.bugs`): a comparison, an operator, a number,
a variable, a range. `restated` makes them in programs that do the same as their reference by other statements: a result
that is named before it is returned, items taken by their index, a name that nothing reads. `solutions` makes them in
other people's solutions of the same problem. `chance` is one line of all.
CPU time is that of every process that takes part; programs differ by a comment from round to round.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from execution import Ours

from rltf.benchmarks.apps.benchmark import Apps
from rltf.benchmarks.humaneval import HumanEval
from rltf.benchmarks.mbpp import Mbpp
from rltf.benchmarks.mini import Mini, bugs
from rltf.types import Job, Outcome, Problem

MISTAKES = (bugs.comparison, bugs.operator, bugs.constant, bugs.variable, bugs.span)
PER_KIND = 6


def problems(benchmark: str, data: Path) -> Sequence[Problem]:
    """Problems with reference programs."""
    match benchmark:
        case "mini":
            sizes, hard = {"train": 300, "validation": 1, "test": 1}, {"medium": 0.5, "hard": 0.5}
            return Mini(sizes=sizes, difficulties=hard, bug_share=0).problems("train")
        case "mbpp":
            return Mbpp(path=str(data / "mbpp.jsonl")).problems("train")
        case "humaneval":
            return HumanEval(path=str(data / "humaneval.jsonl.gz")).problems("test")
        case "solutions":
            apps = Apps(path=str(data / "apps" / "apps_original.jsonl.gz"), keep_constant=True)
            return [p for split in ("train", "test") for p in apps.problems(split) if p.references]
    return Apps(path=str(data / "apps" / "apps_function.jsonl.gz")).problems("train")


class Restated(ast.NodeTransformer):
    """Makes other statements that do the same."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """A name that nothing reads, at the beginning."""
        self.generic_visit(node)
        node.body[ast.get_docstring(node) is not None : 0] = ast.parse("unread = 17").body
        return node

    def visit_Return(self, node: ast.Return) -> Any:
        """A name for what is returned."""
        if node.value is None or isinstance(node.value, ast.Name):
            return node
        name = ast.Assign([ast.Name("result", ast.Store())], node.value)
        return [name, ast.Return(ast.Name("result", ast.Load()))]

    def visit_For(self, node: ast.For) -> ast.AST:
        """The items of a list by their index."""
        self.generic_visit(node)
        match node:
            case ast.For(target=ast.Name(id=item), iter=ast.Name(id=items)) if items.endswith("s"):
                text = f"for at in range(len({items})):\n    {item} = {items}[at]"
                node.iter, node.target = ast.parse(text).body[0].iter, ast.Name("at", ast.Store())  # type: ignore[attr-defined]
                node.body[:0] = ast.parse(f"{item} = {items}[at]").body
        return node


def unparsed(tree: ast.AST) -> str:
    """The text of a tree without blank lines, as mistakes are made in."""
    return "\n".join(line for line in ast.unparse(ast.fix_missing_locations(tree)).split("\n") if line)


def wrong_programs(code: str, rng: Random, count: int) -> Iterator[tuple[str, int]]:
    """Programs with one line that is another one, and its number."""
    lines, programs = code.split("\n"), {}
    for mistake in MISTAKES:
        edited = list(mistake(code))
        rng.shuffle(edited)
        for text in edited[:PER_KIND]:
            other = text.split("\n")
            changed = [n for n, pair in enumerate(zip(lines, other, strict=False), start=1) if pair[0] != pair[1]]
            if len(other) == len(lines) and len(changed) == 1:
                programs[text] = changed[0]
    rows = list(programs.items())
    rng.shuffle(rows)
    yield from rows[:count]


def jobs(benchmark: str, restated: bool, arguments: argparse.Namespace) -> list[tuple[Job, int]]:
    """Jobs with a reference each, and the line of the mistake."""
    rng, rows = Random(0), []
    for problem in islice(problems(benchmark, arguments.data), arguments.problems):
        reference, *others = (unparsed(ast.parse(text)) for text in problem.references[:3])
        if restated:
            others = [unparsed(Restated().visit(ast.parse(reference)))]
        different = restated or benchmark == "solutions"
        for code in [other for other in others if other != reference] if different else [reference]:
            for program, line in wrong_programs(code, rng, arguments.mistakes):
                rows.append((Job(program, problem.tests[:8], problem.setup, timeout=2.0, reference=reference), line))
    return rows


def accuracy(ours: Ours, rows: Sequence[tuple[Job, int]]) -> tuple[dict[str, float], list[Job]]:
    """Shares of the wrong answers, and their jobs."""
    counts, chances, wrong = Counter[str](), [], []
    for (job, line), verdict in zip(rows, ours.pool.map(job for job, _ in rows), strict=True):
        if verdict.outcome is not Outcome.WRONG_ANSWER:
            continue
        wrong.append(job)
        chances.append(1 / len(job.program.split("\n")))
        divergence = verdict.divergence
        assert divergence is not None
        if divergence.line is None or divergence.end_line is None:
            counts["none"] += 1
        else:
            counts["right" if divergence.line <= line <= divergence.end_line else "other"] += 1
    told = counts["right"] + counts["other"]
    shares = {
        "wrong_answers": len(wrong),
        "lines": round(statistics.mean(1 / chance for chance in chances), 1),
        "line_told": round(told / len(wrong), 3),
        "right_of_told": round(counts["right"] / told, 3),
        "right": round(counts["right"] / len(wrong), 3),
        "chance": round(statistics.mean(chances), 3),
    }
    return shares, wrong


def cost(ours: Ours, wrong: Sequence[Job], rounds: int) -> dict[str, float]:
    """CPU milliseconds a wrong program without and with its reference, interleaved, medians of the rounds."""
    rows = []
    for number in range(rounds):
        noted = [replace(job, program=f"{job.program}\n# {number}") for job in wrong]
        seconds = {}
        for with_it in (number % 2 == 0, number % 2 == 1):
            asked = noted if with_it else [replace(job, reference=None) for job in noted]
            seconds[with_it] = ours.run(asked, expect=Outcome.WRONG_ANSWER)[0]
        milliseconds = [1e3 * seconds[with_it] / len(wrong) for with_it in (False, True)]
        rows.append((milliseconds[1] / milliseconds[0], *milliseconds))
    ratio, without, with_it = (round(statistics.median(column), 3) for column in zip(*rows, strict=True))
    return {"ratio": ratio, "cpu_ms": without, "with_reference_cpu_ms": with_it}


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=150)
    parser.add_argument("--mistakes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--benchmarks", nargs="+", default=["mini", "mbpp", "humaneval", "apps", "solutions"])
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data")
    arguments = parser.parse_args()
    ours, report = Ours(), {"load_average": os.getloadavg()[0]}
    for benchmark in arguments.benchmarks:
        for name, restated in ((benchmark, False), (f"{benchmark} restated", True))[: 1 + (benchmark != "solutions")]:
            shares, wrong = accuracy(ours, jobs(benchmark, restated, arguments))
            report[name] = shares if restated else shares | cost(ours, wrong, arguments.rounds)
            print(name, report[name], file=sys.stderr)
    ours.pool.close()
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
