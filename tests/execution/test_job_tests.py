"""What a worker knows of tests before it has seen a program."""

from __future__ import annotations

from typing import Any

import pytest

from rltf.execution import messages
from rltf.execution.judge.job_tests import JobTests
from rltf.types import AssertTest, CallTest, CheckTest, StdioTest, TextTest

CALL, SCRIPT, WORDS = CallTest("f", (1,), 2), StdioTest("1\n", "2\n"), TextTest("42")
ASSERT, CHECK = AssertTest("assert f(1) == 2"), CheckTest("def check(c):\n    assert c(np.zeros(1))", "f")


@pytest.mark.parametrize(
    ("tests", "requesting", "has_text", "requires_numpy", "only_calls_and_scripts"),
    [
        ([CALL, SCRIPT, CALL], [0, 2], False, False, True),
        ([SCRIPT], [], False, False, True),
        ([WORDS], [], False, False, False),
        ([SCRIPT, ASSERT], [1], True, False, False),
        ([CALL, CHECK], [0, 1], True, True, False),
    ],
)
def test_facts_of_tests(
    tests: list[Any], requesting: list[int], has_text: bool, requires_numpy: bool, only_calls_and_scripts: bool
) -> None:
    facts = JobTests(7, messages.tests_from_json(messages.tests_to_json(tests)))
    assert facts.requesting == requesting
    assert facts.has_text is has_text
    assert facts.requires_numpy is requires_numpy
    assert facts.only_calls_and_scripts is only_calls_and_scripts


@pytest.mark.parametrize("text", [b'{"program": ""} {}', b'{"program": ""', b"", b"\xff"])
def test_a_message_holds_one_value(text: bytes) -> None:
    with pytest.raises(ValueError):
        messages.job_from_json(text)
