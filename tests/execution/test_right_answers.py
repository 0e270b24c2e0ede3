"""Tests that are text: a grader tells the worker answers with which they pass; a verdict is the same with them."""

from __future__ import annotations

import base64
import marshal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from counting_judge import CountingJudge

from rltf.execution.grader.task_tests import TestSet
from rltf.execution.judge.exact_answers import ExactCalls
from rltf.types import AssertTest, CheckTest, Outcome, Verdict

CHECK = """
METADATA = {"author": "x"}

def check(candidate):
    assert candidate(1) == [1, 101], "first"
    assert candidate(x=2) == [2, 102]
    assert True, "not reached"
    assert abs(candidate(3)[1] - 103) < 1e-6
    assert not candidate(0) and candidate
"""
WHOLE_CHECK = """
def check(candidate):
    assert candidate([3, 1, 2]) == [1, 2, 3]
    assert candidate([]) == []
    assert candidate([1, 2, 3]) == [1, 2, 3]
    assert candidate(["b", "a"]) == ["a", "b"]
"""
ASSERTS = ("assert f(1) == 2", "assert f(2) == 3", "assert f(5) == 6", "assert math.isclose(f(2.5), 3.5)")


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Iterator[CountingJudge]:
    counting = CountingJudge(monkeypatch)
    yield counting
    counting.close()


def known(*tests: Any, setup: str = "") -> TestSet:
    rows = [
        [at, "check", test.code, test.entry_point] if isinstance(test, CheckTest) else [at, "assert", test]
        for at, test in enumerate(tests)
    ]
    return TestSet(rows, setup)


def answers_of(test_set: TestSet) -> list[Any] | None:
    right = test_set.right_answers
    return None if right is None else list(right.answers)


@pytest.mark.parametrize(
    ("tests", "answers"),
    [
        (("assert f(1) == 2",), [2]),
        (("assert 2 == f(1)",), [2]),
        (("assert f(1)",), [True]),
        (("assert f(3 * 19) == [3, 1 + 18]", "assert f('a' + 'b') == -(2 / 4)"), [[3, 19], -0.5]),
        (("assert f(2) == 2 ** 100000",), None),  # the compiler leaves it as it is
        (("assert not f(1)",), [False]),
        (("assert f(1) is None",), [None]),
        (("assert f(1) is True, 'why'",), [True]),
        (("assert set(f(1)) == {3}",), [{"set": [3]}]),
        (("assert abs(f(1) - 0.5) < 1e-6",), [0.5]),
        (("assert sorted(f([2, 1])) == [1, 2] and True",), [[1, 2]]),
        (("assert f(1) == (1, 'a')", "assert f(2) == None"), [{"tuple": [1, "a"]}, None]),
        (("assert 10 ** f(1) == 100000000000",), None),  # with a wrong answer this may take for ever
        (("assert f(1) ** 999999999 == 1",), None),
        (("assert f('a') * 2 == 'aa'",), None),
        (("assert math.factorial(f(1)) == 99999999",), None),
        (("assert sum(f(1)) == [4]",), None),
        (("assert math.isclose(f(1), 0.5)",), [0.5]),
        (("assert len(f(1)) == 3",), None),  # 3 has no length: what would please the test is not known
        (("assert f(1) != 2",), None),
        (("assert f(1) == f(2)",), None),
        (("assert f(1) == 2 or f(2) == 2",), None),
        (("for i in range(3): assert f(i) == i",), None),
        (("x = 2", "assert f(1) == 2"), None),
        (("import random\nassert f(random.random()) == 1",), None),
        (("import random\nrandom.seed(1)\nassert f(1) == 1",), None),  # it leaves traces
        (("assert f(1) == 2", "assert g(1) == 2"), [2, 2]),
        (("assert f(1) == 2", "assert True"), None),  # it asks nothing
        (("assert f(1) == 2 and g.x",), None),
        (("assert f(1) == float('nan')",), None),
        (("assert f(1) == 1; assert f(2) == 2", "assert f(3) == 3"), None),  # the second may be left unmade
        (("assert f(1) == 1; assert f(2) == 2",), [1, 2]),
    ],
)
def test_answers_are_known_where_the_text_alone_says_what_is_asked(
    tests: tuple[str, ...], answers: list[Any] | None
) -> None:
    assert answers_of(known(*tests)) == answers


def test_a_check_is_read_whole() -> None:
    text = CHECK.replace(" and candidate\n", "\n").replace("candidate(3)[1]", "candidate(3)")
    assert answers_of(known(CheckTest(text, "f"))) == [[1, 101], [2, 102], 103, False]
    assert answers_of(known(CheckTest(CHECK, "f"))) is None  # its last assertion names the function twice


def test_setup_may_change_what_a_text_means() -> None:
    assert answers_of(known("assert f(1) == 2", setup="import math")) is None


def test_requests_go_in_groups_none_of_which_is_given_an_earlier_answer_of_its_own() -> None:
    right = known(*(test for test in ASSERTS)).right_answers
    assert right is not None
    assert [[request[2][0] for request in group] for group in right.groups] == [[[1]], [[2], [5], [2.5]]]
    rows = right.message()
    assert [number for number, _, _ in rows] == [1, 3]
    sent = base64.b64decode(rows[1][1])
    first = sent[4 : 4 + int.from_bytes(sent[:4], "big")]
    assert marshal.loads(first) == ["call", "f", [[2], {}], [], 2]  # numbers go on
    assert marshal.loads(sent[-1:]) is None  # the end
    assert base64.b64decode(rows[0][2]) == b'\x00\x00\x00\x11{"n":1,"value":2}'


@pytest.mark.parametrize("message", [None, [], [[1, "x", "y"]], [["a", "", ""]], [[1, ""]], {"a": 1}, [[1, None, ""]]])
def test_what_is_no_telling_is_not_taken(message: Any) -> None:
    assert ExactCalls.told(message) is None


PROGRAMS = {
    "right": "def f(x): return sorted(x)",
    "right and mutates": "def f(x):\n    x.sort()\n    return x",
    "a copy, and mutates": "def f(x):\n    x.sort()\n    return list(x)",
    "a list of its own": "class L(list): pass\ndef f(x): return L(sorted(x))",
    "an object that equals all": "class A:\n    def __eq__(self, other): return True\ndef f(x): return A()",
    "an iterator": "def f(x): return iter(sorted(x))",
    "wrong": "def f(x): return x",
    "wrong at the end": "def f(x): return sorted(x) if x != ['b', 'a'] else []",
    "raises": "def f(x): return sorted(x)[0]",
    "raises in the second group": "def f(x): return sorted(x) if x != [1, 2, 3] else 1 / 0",
    "exits": "import os\ndef f(x): os._exit(3)",
    "exits in the second group": "import os\ndef f(x): return sorted(x) if x != [1, 2, 3] else os._exit(0)",
    "system exit": "def f(x): raise SystemExit(1)",
    "no such function": "def g(x): return sorted(x)",
    "does not compile": "def f(x): return sorted(x",
    "does not load": "1 / 0",
    "solution class": "class Solution:\n    def f(self, x): return sorted(x)",
    "prints": "def f(x):\n    print('y' * 1000)\n    return sorted(x)",
    "loops": "def f(x):\n    while x == [1, 2, 3]: pass\n    return sorted(x)",
    "a tuple": "def f(x): return tuple(sorted(x))",
    "too large": "def f(x): return [0] * 3_000_000",
    "forbidden": "import os\ndef f(x): return os.execv('/bin/true', ['a'])",
    "says more": "import os\ndef f(x):\n    os.write(3, b'abc')\n    return sorted(x)",
    "says the answers of all calls itself": (
        "import os\n"
        "def frame(n, value):\n"
        '    body = b\'{"n":%d,"value":%s}\' % (n, value)\n'
        "    return len(body).to_bytes(4, 'big') + body\n"
        "os.write(3, frame(1, b'[1,2,3]') + frame(2, b'[]'))\n"
        "def f(x): os._exit(0)"
    ),
    "threads": "import threading, time\ndef f(x):\n    threading.Thread(target=time.sleep, args=(9,)).start()\n"
    "    return sorted(x)",
    "a child of its own": "import os, time\nif os.fork() == 0:\n    time.sleep(9)\ndef f(x): return sorted(x)",
}


def told(verdict: Verdict) -> list[Any]:
    errors = [(e.type, e.message, e.line) if (e := test.error) is not None else None for test in verdict.tests]
    return [verdict.outcome, [test.status for test in verdict.tests], errors]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_verdict_is_the_same_whether_right_answers_are_known_or_not(judge: CountingJudge, name: str) -> None:
    for tests in (
        (CheckTest(WHOLE_CHECK, "f"),),
        (
            AssertTest("assert f([3, 1]) == [1, 3]"),
            AssertTest("assert f([1, 3]) == [1, 3]"),
            AssertTest("assert f([]) == []"),
        ),
    ):
        judge.begin_tests(*tests)
        first = judge.again(PROGRAMS[name], timeout=1.0 if name == "loops" else 30.0)
        assert judge.graded
        judge.again("def f(x): return sorted(x)\n", timeout=60.0)
        assert judge.graded == 0, "right answers are known by now"
        second = judge.again(PROGRAMS[name], timeout=1.0 if name == "loops" else 30.0)
        assert told(second) == told(first)
        assert judge.graded == 0 or name not in ("right", "prints", "a list of its own", "solution class")


LINES = {
    "right": "import math\ndef f(x):\n    if len(x) > 9:\n        return 0\n    return sorted(x)\n",
    "wrong at the second": (
        "def f(x):\n    if x == ['b', 'a']:\n        return 3\n    if not x:\n        return 4\n    return sorted(x)\n"
    ),
    "raises": "def f(x):\n    if not x:\n        1 / 0\n    return sorted(x)\n\ndef g():\n    pass\n",
    "exits": "import os\ndef f(x):\n    if not x:\n        os._exit(0)\n    return sorted(x)\n",
}


@pytest.mark.parametrize("name", LINES)
def test_lines_that_a_test_executed_are_the_same_and_none_of_calls_that_it_did_not_make(
    judge: CountingJudge, name: str
) -> None:
    judge.begin_tests(CheckTest(WHOLE_CHECK, "f"))
    first = judge.again(LINES[name], coverage=True)
    assert first.tests[0].executed is not None
    judge.again("def f(x): return sorted(x)\n")
    assert judge.graded == 0
    second = judge.again(LINES[name], coverage=True)
    assert (told(second), second.tests[0].executed) == (told(first), first.tests[0].executed)
    assert second.unexecuted == first.unexecuted
    assert judge.graded == (name != "right")
    assert 3 not in first.tests[0].executed or name != "wrong at the second"


def test_programs_with_coverage_run_once_where_most_fail(judge: CountingJudge) -> None:
    judge.begin_tests(CheckTest(WHOLE_CHECK, "f"))
    right = "def f(x): return sorted(x)\n"
    judge.again(right)
    judge.again(right + "\n", coverage=True)
    assert judge.graded == 0
    for number in range(7):
        judge.again(f"def f(x): return {number}", coverage=True)
    judge.again(right + "\n\n", coverage=True)
    assert judge.graded == 1
    judge.again(right)
    assert judge.graded == 0, "without coverage it costs a failure nothing"


def test_a_program_that_reads_ahead_finds_no_answer(judge: CountingJudge) -> None:
    """It answers with the next number that lies in its channel, which is the answer: each waits for the one before."""
    cheat = """
import marshal, os, select
def f(x):
    seen = b""
    while select.select([3], [], [], 0.05)[0] and (chunk := os.read(3, 1 << 16)):
        seen += chunk
    while seen:
        size = int.from_bytes(seen[:4], "big")
        request, seen = marshal.loads(seen[4:4 + size]), seen[4 + size:]
        if request is not None:
            return request[2][0][0]
    return 0
"""
    tests = [AssertTest(f"assert f({i}) == {i + 1}") for i in range(1, 6)]
    judge.begin_tests(*tests)
    for program in (cheat, "def f(x): return x + 1", cheat + "\n"):
        verdict = judge.again(program, timeout=5.0)
    assert verdict.passed == 0


def test_right_answers_are_told_anew_to_the_judge_of_another_grader(judge: CountingJudge) -> None:
    judge.begin_tests(CheckTest(WHOLE_CHECK, "f"))
    graded = []
    for number in range(4):
        judge.again(f"def f(x): return sorted(x)  # {number}")
        graded.append(judge.graded)
        if number == 1:
            judge.end_graders()
            judge.again(f"def f(x): return x  # {number}")  # which needs a grader
    assert graded == [1, 0, 0, 0]


def test_a_program_that_hangs_in_a_later_group_is_ended_in_time(judge: CountingJudge) -> None:
    judge.begin_tests(CheckTest(WHOLE_CHECK, "f"))
    judge.again("def f(x): return sorted(x)")
    start = time.monotonic()
    verdict = judge.again(PROGRAMS["loops"], timeout=1.0)
    assert (verdict.outcome, verdict.error and verdict.error.line) == (Outcome.TIMEOUT, 2)
    assert time.monotonic() - start < 20
