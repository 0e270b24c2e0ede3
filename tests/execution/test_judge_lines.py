"""Lines of the judge's command: what is no job is refused by itself, with its id and the reason."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rltf.execution.json_tests import InvalidInput
from rltf.execution.jsonl import MAX_TESTS, dumps, parse, render
from rltf.types import CallTest, Outcome, TestResult, Verdict

CALL = {"kind": "call", "function": "f", "args": [1], "expected": 2}


def line(**changes: Any) -> bytes:
    return json.dumps({"id": "a", "program": "", "tests": [CALL], **changes}).encode()


def refusal(text: bytes) -> tuple[Any, str]:
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    return caught.value.id, str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"time_limit": 3}, "unknown key `time_limit`: did you mean timeout?"),
        ({"memory": 3}, "unknown key `memory`: did you mean memory_mb?"),
        ({"Tests": []}, "unknown key `Tests`: did you mean tests?"),
        (
            {"zz": 0},
            "unknown key `zz`: expected id, program, setup, tests, timeout, memory_mb, coverage, output, reference",
        ),
        (
            {"tests": [{**CALL, "atol": 1e-6}]},
            "unknown key `tests[0].atol`: expected kind, function, args",
        ),
        (
            {"tests": [CALL, {**CALL, "kwargs": {}}]},
            "unknown key `tests[1].kwargs`: did you mean args?",
        ),
        ({"tests": [CALL] * (MAX_TESTS + 1)}, "`tests` has 100,001 tests: expected at most 100,000"),
        ({"tests": [{"kind": []}]}, "tests[0] is []: expected kind assert"),
        ({"tests": [{**CALL, "function": " "}]}, "tests[0].function is empty: expected the name of a function"),
        ({"setup": "def f(:"}, "`setup` does not compile: "),
        ({"setup": 0}, "`setup` is a number: expected a string"),
        ({"timeout": 10**400}, "`timeout` is 1000"),
        ({"timeout": float("nan")}, "`timeout` is nan"),
        ({"timeout": True}, "`timeout` is True"),
        ({"memory_mb": 1e300}, "`memory_mb` is 1000"),
        ({"coverage": None}, "`coverage` is missing: expected true or false"),
        ({"reference": 1}, "`reference` is a number: expected a string"),
    ],
)
def test_a_refusal_names_the_key_and_keeps_the_id(changes: dict[str, Any], says: str) -> None:
    key, message = refusal(line(**changes))
    assert key == "a"
    assert message.startswith(says)


@pytest.mark.parametrize(
    ("test", "says"),
    [
        ({"kind": "assert", "code": "f(1) == 2"}, "tests[0].code checks nothing: it has no assert"),
        ({"kind": "assert", "code": ""}, "tests[0].code checks nothing: it has no statements"),
        (
            {"kind": "assert", "code": "def test_f():\n    assert f(1)"},
            "tests[0].code checks nothing: nothing calls test_f",
        ),
        (
            {"kind": "check", "code": "assert f(1)", "entry_point": "f"},
            "tests[0].code does not define the function check",
        ),
        (
            {"kind": "check", "code": "def check():\n    assert f(1)", "entry_point": "f"},
            "tests[0].code has a function",
        ),
        ({"kind": "check", "code": "def check(c):\n    pass", "entry_point": "f"}, "tests[0].code checks nothing"),
    ],
)
def test_a_test_that_checks_nothing_is_refused(test: dict[str, Any], says: str) -> None:
    key, message = refusal(line(tests=[test]))
    assert key == "a"
    assert message.startswith(says)


def test_a_function_of_the_setup_may_be_what_checks() -> None:
    setup = "def verify(function):\n    assert function(1) == 2"
    parse(line(tests=[{"kind": "assert", "code": "verify(f)"}], setup=setup))
    assert refusal(line(tests=[{"kind": "assert", "code": "verify(f)"}]))[1].startswith("tests[0].code checks nothing")


def test_integers_of_many_digits_are_read_and_written() -> None:
    digits = "7" * 50_000
    text = line(id=0, tests=[{**CALL, "args": [1]}]).replace(b'"id": 0', f'"id": {digits}'.encode())
    key, job = parse(text.replace(b'"args": [1]', f'"args": [{digits}]'.encode()))
    assert key == (10**50_000 - 1) // 9 * 7
    assert isinstance(job.tests[0], CallTest)
    assert job.tests[0].args == (key,)
    assert dumps({"id": key}) == f'{{"id": {digits}}}\n'
    assert refusal(line().replace(b"[1]", b"[" + b"7" * 100_001 + b"]")) == (
        "a",
        "an integer of more than 100,000 digits",
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b'{"id": 3, "program": ', 3),
        (b'{"program": "\\"id\\": 1 { [", "x": {"id": 2}, "id": {"a": [4]}, "tests": [}', {"a": [4]}),
        (b'{"program": "", "tests": ' + b"[" * 100_000 + b"]" * 100_000 + b', "id": "last"}', "last"),
        (b'{"id": "\xff", "program": 3}', "\ufffd"),
        (b'{"x": {"id": 2}, ', None),
        (b'["id", 3', None),
        (b'{"id"', None),
        (b'{"id": nothing', None),
    ],
)
def test_the_id_of_a_line_that_is_no_json_is_read_all_the_same(text: bytes, key: Any) -> None:
    assert refusal(text)[0] == key


def test_an_id_that_is_read_can_be_written() -> None:
    for depth in range(100, 2000, 100):
        deep = b"[" * depth + b"]" * depth
        with suppress(InvalidInput):
            assert dumps({"id": parse(line().replace(b'"a"', deep, 1))[0]}).encode() == b'{"id": ' + deep + b"}\n"


def test_executed_lines_are_printed_test_by_test() -> None:
    tests = (TestResult(Outcome.PASSED, 0.1, executed=(1, 2)), TestResult(Outcome.PASSED, 0.1))
    row = render("a", Verdict(Outcome.PASSED, 2, 2, tests=tests, unexecuted=(3,)))
    assert [test.get("executed") for test in row["tests"]] == [[1, 2], None]
    assert [set(test) for test in row["tests"]] == [
        {"status", "seconds", "error", "executed"},
        {"status", "seconds", "error"},
    ]
    assert row["unexecuted"] == [3]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(("id", "program", "setup", "tests", "timeout", "memory_mb", "coverage", "kind", "code", "args"))
tests = st.dictionaries(
    st.sampled_from(("kind", "code", "entry_point", "function", "args", "expected", "stdin", "stdout")),
    values | st.sampled_from(("assert", "call", "check", "stdio", "assert f(1)", "def check(c): assert c")),
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(keys, values | st.lists(tests, max_size=3)) | values)
def test_any_json_is_a_job_or_refused(row: Any) -> None:
    with suppress(InvalidInput):
        parse(json.dumps(row).encode())


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text('{}[]",:id0123456789\\ truefalsn', max_size=60).map(str.encode))
def test_any_bytes_are_a_job_or_refused(text: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse(text)
