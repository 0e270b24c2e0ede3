"""Mined tests against official ones, on the functions of `mini`: makes the two benchmark files of docs/mining.md.

    python docs/results/mining/mini.py functions OUT.jsonl --problems 900     # functions, their task as docstring
    python train.py job=mine job.source=OUT.jsonl job.limit=800               # which sees nothing of their tests
    python docs/results/mining/mini.py arms MINED.jsonl FOLDER --problems 900 # FOLDER/mined.jsonl, official.jsonl

Both files have the same problems and the same demonstrations, those of `mini` (faulty to 60 %); one has mined tests,
the other the official ones.
"""

from __future__ import annotations

import argparse
import ast
import json
from pathlib import Path
from typing import Any

from rltf.benchmarks.mini import Mini
from rltf.execution.values.codec import encode
from rltf.types import CallTest, Problem


def main() -> None:
    """Writes the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("functions", "arms"))
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--problems", type=int, default=1000)
    arguments = parser.parse_args()
    problems = {statement_of(problem): problem for problem in functions(arguments.problems)}
    if arguments.command == "functions":
        [path] = arguments.paths
        write(path, [{"code": with_docstring(problem)} for problem in problems.values()])
        return
    mined, folder = arguments.paths
    folder.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in mined.read_text(encoding="utf-8").splitlines()]
    rows = [row | {"demonstrations": problems[row["docstring"]].demonstrations} for row in rows]
    write(folder / "mined.jsonl", rows)
    write(folder / "official.jsonl", [row | {"tests": official(problems[row["docstring"]])} for row in rows])


def functions(count: int) -> list[Problem]:
    """The first training problems of the default benchmark that ask for a function."""
    sizes = {"train": 2 * count, "validation": 0, "test": 0}
    benchmark = Mini(sizes=sizes, difficulties={"easy": 0.8, "medium": 0.15, "hard": 0.05}, bug_share=0.6)
    return [problem for problem in benchmark.problems("train") if problem.entry_point is not None][:count]


def statement_of(problem: Problem) -> str:
    """The task as a docstring gives it back."""
    return str(ast.get_docstring(ast.parse(with_docstring(problem)).body[0]))  # type: ignore[arg-type]


def with_docstring(problem: Problem) -> str:
    """The reference with the task as its docstring."""
    tree = ast.parse(problem.references[0])
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    function.body.insert(0, ast.Expr(ast.Constant(problem.statement)))
    return ast.unparse(ast.fix_missing_locations(tree))


def official(problem: Problem) -> list[dict[str, Any]]:
    """The problem's own tests, as rows of a mined file."""
    return [
        {"function": test.function, "args": [encode(a) for a in test.args], "expected": encode(test.expected)}
        for test in problem.tests
        if isinstance(test, CallTest)
    ]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Writes JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
