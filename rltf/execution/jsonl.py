"""Lines of the judge's command: a job as one line of input, a verdict as one line of output."""

from __future__ import annotations

import json
import math
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rltf.execution.json_tests import InvalidInput, check_keys, json_type, records_of_row, short
from rltf.execution.languages import LANGUAGES, require_language
from rltf.execution.sandbox.limits import require_limit
from rltf.types import Job, Verdict, encode_verdict
from rltf.validation import OptionError

MAX_TESTS = 100_000
"""Tests of one job."""
MAX_DIGITS = 100_000
"""Digits of one integer; the time to read one grows with their square."""
_KEYS = (
    *("id", "program", "setup", "tests", "timeout", "memory_mb", "coverage", "output", "reference", "language"),
    "answers",
)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_AFTER_KEY = re.compile(r"\s*:\s*")


def parse(line: bytes) -> tuple[Any, Job]:
    """The id and the job of a line.

    Raises:
        InvalidInput: What is wrong, in one sentence.
    """
    with long_integers():
        row = _read(line)
        if not isinstance(row, dict):
            raise InvalidInput(f"expected a JSON object, found {json_type(row)}")
        key = row.get("id")
        try:
            return key, _job(row)
        except InvalidInput as e:
            e.id = key
            raise


def render(key: Any, verdict: Verdict) -> dict[str, Any]:
    """A verdict as the judge prints it; `unexecuted` is absent where those lines are not known."""
    row: dict[str, Any] = {"id": key, **encode_verdict(verdict)}
    if verdict.unexecuted is None:
        del row["unexecuted"]
    return row


def dumps(row: Mapping[str, Any]) -> str:
    """The line of output of a row, whose id may be an integer of any length that `parse` reads."""
    with long_integers():
        return json.dumps(row) + "\n"


@contextmanager
def long_integers() -> Iterator[None]:
    """Lets integers of up to `MAX_DIGITS` digits become text and text become integers (Python's own limit is 4,300)."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(MAX_DIGITS)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(limit)


def _read(line: bytes) -> Any:
    """The value of a JSON line, whose id can be written again."""
    try:
        row = json.loads(line)
    except RecursionError:
        raise InvalidInput("nested too deep to be read", _id_in(line)) from None
    except ValueError as e:
        text = f"an integer of more than {MAX_DIGITS:,} digits" if "integer string conversion" in str(e) else ""
        raise InvalidInput(text or f"not JSON: {e}", _id_in(line)) from None
    try:
        json.dumps(row.get("id") if isinstance(row, dict) else None)
    except (RecursionError, ValueError):
        raise InvalidInput("`id` is nested too deep") from None
    return row


def _id_in(line: bytes) -> Any:
    """The id of a line that is no JSON as a whole, as far as it can be read: the value of the key `id` of the outermost
    object; else None."""
    text = line.decode("utf-8", "replace")
    depth = 0
    for token in _TOKEN.finditer(text):
        match token.group():
            case "{" | "[":
                depth += 1
            case "}" | "]":
                depth -= 1
            case '"id"' if depth == 1 and (colon := _AFTER_KEY.match(text, token.end())):
                try:
                    return json.JSONDecoder().raw_decode(text, colon.end())[0]
                except (ValueError, RecursionError):
                    return None
    return None


def _job(row: dict[str, Any]) -> Job:
    check_keys("", row, _KEYS)
    if "id" not in row:
        raise InvalidInput("`id` is missing")
    program = row.get("program")
    if not isinstance(program, str):
        raise InvalidInput(f"`program` is {json_type(program)}: expected a string")
    setup = "" if row.get("setup") is None else row["setup"]
    if not isinstance(setup, str):
        raise InvalidInput(f"`setup` is {json_type(setup)}: expected a string")
    language = row.get("language", "python")
    if language not in LANGUAGES:
        raise InvalidInput(f"`language` is {short(language)}: expected {' or '.join(LANGUAGES)}")
    if language == "python":
        _check_compiles("`setup`", setup)
    tests = row.get("tests")
    if not isinstance(tests, list) or not tests:
        raise InvalidInput(f"`tests` is {json_type(tests)}: expected a list of at least one test")
    if len(tests) > MAX_TESTS:
        raise InvalidInput(f"`tests` has {len(tests):,} tests: expected at most {MAX_TESTS:,}")
    timeout, memory = _limit("timeout", row.get("timeout")), _limit("memory_mb", _rounded_up(row.get("memory_mb")))
    coverage, output, answers = (_flag(row, name) for name in ("coverage", "output", "answers"))
    reference = row.get("reference")
    if reference is not None and not isinstance(reference, str):
        raise InvalidInput(f"`reference` is {json_type(reference)}: expected a string")
    parsed = tuple(test for i, row in enumerate(tests) for test in records_of_row(f"tests[{i}]", row, setup))
    job = Job(program, parsed, setup, timeout, memory, coverage, output, reference, language, answers)
    try:
        require_language(job)
    except ValueError as e:
        raise InvalidInput(str(e)) from None
    return job


def _check_compiles(where: str, text: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<setup>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        raise InvalidInput(f"{where} does not compile: {e}") from None


def _flag(row: Mapping[str, Any], name: str) -> bool:
    value = row.get(name, False)
    if not isinstance(value, bool):
        raise InvalidInput(f"`{name}` is {json_type(value)}: expected true or false")
    return value


def _limit(name: str, value: Any) -> Any:
    """The limit of a job; None where the line has none."""
    if value is not None:
        try:
            require_limit(name, value)
        except OptionError as e:
            raise InvalidInput(f"`{name}` is {short(value)}: expected {e.expected}") from None
    return value


def _rounded_up(value: Any) -> Any:
    """A number with a fraction as the next whole one; anything else as it is."""
    return math.ceil(value) if isinstance(value, float) and math.isfinite(value) else value
