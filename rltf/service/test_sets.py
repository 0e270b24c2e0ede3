"""The tests of a problem in the forms that data sets have them in, as records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from rltf.benchmarks.apps.tests import call_tests, stdio_tests
from rltf.execution.json_tests import InvalidInput, check_keys, json_type, records_of_row
from rltf.types import Test

TestSet = Sequence[Test | Mapping[str, Any] | str] | Mapping[str, Any] | str
"""What `parse_test_set` reads."""

_RECORDS = get_args(Test)
_PAIR_KEYS = ("input", "output", "fn_name", "type")
_LIST_KEYS = ("inputs", "outputs", "fn_name")
_KINDS = (None, "stdin_stdout", "function_call")


@dataclass(frozen=True, slots=True)
class Limits:
    """What goes with the tests of a problem."""

    setup: str = ""
    """Trusted code that runs before the program: imports of the task."""
    timeout: float | None = None
    """Seconds a test; None: the judge's default."""
    memory_mb: int | None = None
    """None: the judge's default."""
    language: str = "python"
    """Of the programs (`rltf.execution.languages.LANGUAGES`)."""


def parse_problem(tests: TestSet, limits: Limits) -> tuple[tuple[Test, ...], Limits]:
    """The tests of a problem as records, and what goes with them.

    Args:
        tests: as `parse_test_set` reads them; or an object, or JSON text of one, with `tests` and any of `setup`,
            `timeout`, `memory_mb` and `language`, which take the place of those of all problems.
        limits: of all problems.

    Raises:
        InvalidInput: as `parse_test_set` says, or a field has another type.

    >>> parse_problem({"setup": "import math", "tests": ["assert f(4) == math.sqrt(4)"]}, Limits(timeout=2))[1]
    Limits(setup='import math', timeout=2, memory_mb=None, language='python')
    """
    if isinstance(tests, str):
        tests = _from_text(tests)
    if isinstance(tests, Mapping) and "tests" in tests:
        check_keys("", tests, ("tests", "setup", "timeout", "memory_mb", "language"))
        overrides = {
            key: tests[key] for key in ("setup", "timeout", "memory_mb", "language") if tests.get(key) is not None
        }
        for key in ("setup", "language"):
            if not isinstance(overrides.get(key, ""), str):
                raise InvalidInput(f"`{key}` is {json_type(overrides[key])}: expected a string")
        limits, tests = replace(limits, **overrides), tests["tests"]
    return parse_test_set(tests, limits.setup), limits


def parse_test_set(tests: TestSet, setup: str = "") -> tuple[Test, ...]:
    """The tests as records.

    | form | tests |
    |---|---|
    | `[{"kind": ...}, ...]` | those of the judge's command line (`rltf judge --help`) |
    | `["assert f(1) == 2", ...]` | one `assert` test each |
    | `[{"input": ..., "output": ...}, ...]` | one run of the program each; with `fn_name` one call each |
    | `{"inputs": [...], "outputs": [...]}` | the same in two lists (APPS, TACO, PRIME, verl); with `fn_name` calls |
    | records of `rltf.types` | as they are |
    | text | one of these as JSON; else the text of one `assert` test |

    Args:
        tests: in one of these forms.
        setup: trusted code of the task that runs before the program, whose functions tests may call.

    Raises:
        InvalidInput: They have another form, there are none, or one of them checks nothing; it says which.

    >>> parse_test_set(["assert f(1) == 2"])
    (AssertTest(code='assert f(1) == 2', kind='assert'),)
    >>> parse_test_set('{"inputs": ["1\\\\n"], "outputs": ["2\\\\n"]}')
    (StdioTest(stdin='1\\n', stdout='2\\n', tolerance=None, checker='', kind='stdio'),)
    >>> parse_test_set([])
    Traceback (most recent call last):
    rltf.execution.json_tests.InvalidInput: `tests` is empty: expected at least one test
    """
    if isinstance(tests, str):
        tests = _from_text(tests)
    if isinstance(tests, Mapping):
        return _from_lists(tests)
    if not isinstance(tests, Sequence) or isinstance(tests, bytes):
        raise InvalidInput(f"`tests` is {json_type(tests)}: expected a list of tests")
    records = tuple(record for i, test in enumerate(tests) for record in _from_test(f"tests[{i}]", test, setup))
    if not records:
        raise InvalidInput("`tests` is empty: expected at least one test")
    return records


def _from_text(text: str) -> Any:
    if not text.lstrip().startswith(("[", "{")):
        return [text]
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as e:
        raise InvalidInput(f"`tests` is text that begins like JSON and is none: {e}") from None


def _from_test(where: str, test: Any, setup: str) -> tuple[Test, ...]:
    if isinstance(test, _RECORDS):
        return (test,)
    if isinstance(test, str):
        return records_of_row(where, {"kind": "assert", "code": test}, setup)
    if isinstance(test, Mapping) and test.get("kind") is None and "input" in test:
        check_keys(f"{where}.", {key: 0 for key, value in test.items() if value is not None}, _PAIR_KEYS)
        if test.get("type") not in _KINDS:
            raise InvalidInput(f"{where}.type is {test['type']!r}: expected stdin_stdout or function_call")
        return _pairs(where, [test["input"]], [test.get("output")], test.get("fn_name"))
    if isinstance(test, Mapping):  # a table has the fields of all kinds, empty where a test has none
        test = {key: value for key, value in test.items() if value is not None or _is_expected(key, test)}
    return records_of_row(where, test, setup)


def _is_expected(key: str, test: Mapping[str, Any]) -> bool:
    """True for the expected value of a call, which may be None."""
    return key == "expected" and test.get("kind") == "call"


def _from_lists(tests: Mapping[str, Any]) -> tuple[Test, ...]:
    check_keys("tests.", tests, _LIST_KEYS)
    inputs, outputs = tests.get("inputs"), tests.get("outputs")
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs) or not inputs:
        raise InvalidInput("`tests` is an object: expected lists `inputs` and `outputs` of the same length, not empty")
    return _pairs("tests", inputs, outputs, tests.get("fn_name"))


def _pairs(where: str, inputs: list[Any], outputs: list[Any], function: Any) -> tuple[Test, ...]:
    if function is not None and (not isinstance(function, str) or not function.strip()):
        raise InvalidInput(f"{where}.fn_name is {json_type(function)}: expected the name of a function")
    if any(output is None for output in outputs) and function is None:
        raise InvalidInput(f"{where} has an input without output: expected the text that the program prints")
    if function is None:
        return stdio_tests(inputs, outputs)
    try:
        return call_tests(function, inputs, outputs, "")
    except (ValueError, TypeError, RecursionError) as e:
        raise InvalidInput(f"{where} calls {function} with what is no list of arguments: {e}") from None
