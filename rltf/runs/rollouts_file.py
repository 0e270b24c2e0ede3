"""A rollout as one line of `rollouts.jsonl`: everything a reader needs to see what happened and who was blamed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rltf.types import (
    AssertTest,
    CallTest,
    CheckTest,
    Outcome,
    Rollout,
    StdioTest,
    Test,
    TextTest,
    Verdict,
    encode_divergence,
    encode_error,
)

LONGEST_TEST = 600
"""Characters of a failed test that are kept; those of APPS can be megabytes long."""
LONGEST_TASK = 2000
"""Characters of a problem's statement that are kept."""


def rollout_record(rollout: Rollout, iteration: int, tests: Sequence[Test] = (), statement: str = "") -> dict[str, Any]:
    """Plain values of one judged program; `tests` and `statement` are those of its problem.

    Example keys: `iteration`, `problem_id`, `task` (the statement, shortened), `draw`, `greedy`, `version`,
    `program`, `finish`, `outcome`, `passed`, `total`, `error`, `failed` (the first test with the program's outcome:
    number from 1, text), `reward`, `baseline`, `advantage`, `credits` (term, value, token span or null), `offsets`
    (characters of each token in `program`), `seconds`. Where it applies: `given` (tokens that began the response and
    were not drawn), `turn` (from 1: it repairs a failed program of the turn before), `unexecuted` (lines that no test
    executed), `divergence` (where a wrong answer was compared with a reference: number of the test, first and last line
    of the diverging statement; null: none can be told), `weights` (of each token, where `credit` weighed them; null:
    left out of the loss), `tests` (where `credit` compared them one by one: status, advantage, executed
    lines such as `1-3,7`), `critic` (what it said: see `rltf.types.CriticPrediction`).
    """
    program, verdict = rollout.program, rollout.verdict
    record = {
        "iteration": iteration,
        "problem_id": program.problem_id,
        "task": shortened(statement, LONGEST_TASK),
        "draw": program.draw,
        "greedy": program.greedy,
        "version": program.version,
        "program": program.text,
        "finish": str(program.finish),
        "outcome": str(verdict.outcome),
        "passed": verdict.passed,
        "total": verdict.total,
        "error": encode_error(verdict.error),
        "failed": failed_test(verdict, tests),
        "seconds": round(verdict.seconds, 4),
        "reward": round(rollout.reward, 6),
        "baseline": round(rollout.baseline, 6),
        "advantage": round(rollout.advantage, 6),
        "credits": [{"term": c.term, "value": round(c.value, 6), "span": c.span} for c in rollout.credits],
        "offsets": program.offsets,
    }
    if program.prefix_ids:
        record["given"] = len(program.prefix_ids)
    if program.turn:
        record["turn"] = program.turn
    if verdict.unexecuted is not None:
        record["unexecuted"] = verdict.unexecuted
    if verdict.divergence is not None:
        record["divergence"] = encode_divergence(verdict.divergence)
    if rollout.weights:
        excluded = set(rollout.excluded_tokens)
        record["weights"] = [None if t in excluded else round(weight, 6) for t, weight in enumerate(rollout.weights)]
    if rollout.test_advantages:
        record["tests"] = [
            {
                "status": str(test.status),
                "advantage": None if advantage is None else round(advantage, 6),
                "lines": None if test.executed is None else line_ranges(test.executed),
            }
            for test, advantage in zip(verdict.tests, rollout.test_advantages, strict=False)
        ]
    if rollout.critic is not None:
        estimates = asdict(rollout.critic).items()
        record["critic"] = {name: [round(v, 4) for v in values] for name, values in estimates if values}
    return record


def line_ranges(lines: Sequence[int]) -> str:
    """Rising line numbers as ranges.

    >>> line_ranges((1, 2, 3, 7))
    '1-3,7'
    """
    ranges: list[list[int]] = []
    for line in lines:
        if ranges and line == ranges[-1][1] + 1:
            ranges[-1][1] = line
        else:
            ranges.append([line, line])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def lines_of_ranges(text: str) -> tuple[int, ...]:
    """The lines that `line_ranges` was given.

    >>> lines_of_ranges("1-3,7")
    (1, 2, 3, 7)
    """
    borders = [part.partition("-") for part in text.split(",") if part]
    return tuple(line for first, _, last in borders for line in range(int(first), int(last or first) + 1))


def read_records(folders: str | Sequence[str], name: str, key: str, expected: str) -> Iterator[dict[str, Any]]:
    """The lines of the file `name` in one folder or several, one after another.

    Raises:
        ValueError: one cannot be read; `key` of the config names its folder, which should be what is `expected`.
    """
    for folder in [folders] if isinstance(folders, str) else folders:
        path = Path(folder) / name
        try:
            file = path.open(encoding="utf-8")
        except OSError as error:
            raise ValueError(f"{key}: {path} cannot be read ({error.strerror}), expected {expected}") from error
        with file:
            yield from map(json.loads, file)


def failed_test(verdict: Verdict, tests: Sequence[Test]) -> dict[str, Any] | None:
    """The first test that decided the outcome; None for a program that passed or does not compile."""
    if verdict.outcome in (Outcome.PASSED, Outcome.SYNTAX_ERROR):
        return None
    for number, (result, test) in enumerate(zip(verdict.tests, tests, strict=False), start=1):
        if result.status is verdict.outcome:
            return {"number": number, "test": shortened(test_text(test), LONGEST_TEST)}
    return None


def shortened(text: str, most: int) -> str:
    """The text, or its first `most` characters and a sign that there are more.

    >>> shortened("abcdef", 3)
    'abc …'
    """
    return text if len(text) <= most else text[:most] + " …"


def test_text(test: Test) -> str:
    """A test as a person reads it.

    >>> test_text(CallTest("f", (1, "a"), [2]))
    "f(1, 'a') == [2]"
    """
    match test:
        case AssertTest() | CheckTest():
            return test.code
        case CallTest():
            return f"{test.function}({', '.join(map(repr, test.args))}) == {test.expected!r}"
        case StdioTest():
            return f"stdin {test.stdin!r}, expected stdout {test.stdout!r}"
        case TextTest():
            return f"expected answer {test.expected!r}"
