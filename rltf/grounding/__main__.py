"""Static checks of programs in files: `python -m rltf.grounding FILE...` counts violations by check. Nothing is run.

A file has a JSON object a line, as `samples.jsonl` and `rollouts.jsonl` of a run do; or is one program (`.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from rltf.grounding.checks import LEVELS, MEANINGS, Returns, Task, Violation, levels_of, violations
from rltf.metrics.intervals import bootstrap_interval
from rltf.validation import sentence_of

PROGRAM_KEYS = ("program", "solution", "code", "completion")
"""Keys that hold a program; the first that a line has is read."""
_FORMAT = f"""
of a line are read: {", ".join(PROGRAM_KEYS)}, the first that it has; and where it has them
  entry_point  the function asked for (null: a program that prints); without it, entry and value are not checked
  setup        code that runs before the program, whose names are defined
  finish       "length": cut at the length limit, which violates syntax
  task_id, problem_id  the problem, for the interval of the share of hard violations (95 %, bootstrapped over problems)

checks:
"""


@dataclass(frozen=True)
class CheckedProgram:
    """A program and what it violates."""

    text: str
    problem: str
    """Empty where it is not known."""
    knows_task: bool
    """Whether `entry` and `value` were checked."""
    violations: tuple[Violation, ...]


def main(argv: Sequence[str] | None = None, prog: str = "python -m rltf.grounding") -> int:
    """Prints how many programs violate each check; returns 0, or 2 for a file that cannot be read."""
    meanings = "".join(f"  {check:<12} {LEVELS[check]:<5} {MEANINGS[check]}\n" for check in LEVELS)
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Counts violations of static checks in files of programs, none of which is run.",
        epilog=_FORMAT + meanings,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--returns", choices=("some", "all"), default="some", help="paths with a value (default: some)")
    parser.add_argument("--json", action="store_true", help="one JSON object a file in place of a table")
    arguments = parser.parse_args(argv)
    for file in arguments.files:
        try:
            programs = list(read_programs(file, arguments.returns))
        except (OSError, ValueError) as error:
            print(f"error: {file}: {sentence_of(error)}", file=sys.stderr)
            return 2
        counts = count(programs)
        print(json.dumps({"file": str(file), **counts}) if arguments.json else table(str(file), counts))
    return 0


def read_programs(file: Path, returns: Returns) -> Iterator[CheckedProgram]:
    """The checked programs of a file.

    Raises:
        OSError, ValueError: it cannot be read, or a line holds no program.
    """
    text = file.read_text(encoding="utf-8", errors="replace")
    if file.suffix == ".py":
        yield CheckedProgram(text, "", False, violations(text, Task(asks=False), returns))
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield check(json.loads(line), returns)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error


def check(record: Any, returns: Returns) -> CheckedProgram:
    """The checked program of a line.

    Raises:
        ValueError: it is no object with a program in Python.
    """
    key = next((key for key in PROGRAM_KEYS if isinstance(record, dict) and isinstance(record.get(key), str)), None)
    if key is None:
        raise ValueError(f"expected an object with the text of a program under {', '.join(PROGRAM_KEYS)}")
    if record.get("language", "python") != "python":
        raise ValueError(f"the program is in {record['language']}: expected Python, which these checks read")
    knows_task = "entry_point" in record
    task = Task(record.get("entry_point"), record.get("setup") or "", asks=knows_task)
    cut = record.get("finish") == "length"
    violated = (Violation("syntax", None),) if cut else violations(record[key], task, returns)
    problem = str(record.get("task_id") or record.get("problem_id") or "")
    return CheckedProgram(record[key], problem, knows_task, violated)


def count(programs: Sequence[CheckedProgram]) -> dict[str, Any]:
    """Numbers of programs: all, those with a hard violation, those that violate each check; and their mean length."""
    hard: dict[str, list[bool]] = {}
    for program in programs:
        hard.setdefault(program.problem, []).append(bool(levels_of(program.violations, LEVELS, "hard")))
    shares = [fmean(of_problem) for of_problem in hard.values()]
    by_check = Counter(name for program in programs for name in {v.check for v in program.violations})
    number = max(1, len(programs))
    return {
        "programs": len(programs),
        "entry_point_known": sum(program.knows_task for program in programs),
        "hard": sum(map(sum, hard.values())),
        "hard_interval": [round(end, 4) for end in bootstrap_interval(shares)] if len(shares) > 1 else None,
        "checks": {name: by_check[name] for name in LEVELS},
        "characters_mean": round(sum(len(program.text) for program in programs) / number, 2),
        "lines_mean": round(sum(len(program.text.splitlines()) for program in programs) / number, 2),
    }


def table(file: str, counts: Mapping[str, Any]) -> str:
    """The counts as lines of text."""
    programs = counts["programs"]
    rows = [
        f"{file}: {programs} programs, {counts['lines_mean']} lines and {counts['characters_mean']} characters each",
        _row("hard violation", "", counts["hard"], programs) + _interval(counts["hard_interval"]),
    ]
    rows += [_row(name, LEVELS[name], counts["checks"][name], programs) for name in LEVELS]
    if counts["entry_point_known"] < programs:
        rows.append(
            f"entry and value were checked for {counts['entry_point_known']} programs, the others do not name it"
        )
    return "\n".join(rows)


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"  [{ends[0]:.1%}, {ends[1]:.1%}]"


def _row(name: str, level: str, number: int, programs: int) -> str:
    return f"  {name:<15} {level:<5} {number:>7} {number / max(1, programs):>7.1%}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(130)
