"""Requests that tests are sure to make go to the program together, and no verdict shows it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from rltf.execution import LocalExecutor
from rltf.execution.grader.pipelining import SureCalls, calls_of_assert, calls_of_check
from rltf.execution.grader.requests import Diverged, Requests
from rltf.execution.grader.task_tests import TestSet
from rltf.execution.values.codec import encode
from rltf.types import AssertTest, CallTest, CheckTest, Job, Outcome, Test


@pytest.fixture(scope="module")
def executor() -> Iterator[LocalExecutor]:
    with LocalExecutor(workers=2, timeout=2.0) as pool:
        yield pool


def call(*args: Any, **names: Any) -> list[Any]:
    """A request for a call of `f` with plain arguments."""
    return ["call", "f", [[*args], names], []]


def requests_of(calls: SureCalls) -> tuple[list[Any], bool]:
    return [each.request for each in calls.calls], calls.complete


def check(*statements: str) -> str:
    return "def check(c):\n" + "".join(f"    {statement}\n" for statement in statements)


@pytest.mark.parametrize(
    ("text", "requests", "complete"),
    [
        (check("assert c(1) == 2", "assert c(-2, [3]) == 4"), [call(1), call(-2, [3])], True),
        ("METADATA = {'author': 'x'}\n\n" + check("assert c(1) == 2"), [call(1)], True),
        (check("'a text'", "assert True, 'fine'", "assert c('é') is None, 'wrong'"), [call("é")], True),
        (check("import math", "assert math.isclose(c(1.5), 2)", "pass"), [call(1.5)], True),
        (check("assert c(1) == 2", "x = c(2)", "assert x == 3"), [call(1)], False),
        (check("assert c(1) == 2", "assert c(3 * 19) == 10**9"), [call(1), call(57)], True),
        (check("assert c(1) == 2", "assert c(2) == 10**n"), [call(1)], False),  # what it should answer is not written
        (check("assert c(1) == 2", "assert c(2) == sorted([4, 3])"), [call(1)], False),
        (check("assert c(1) == 2", "assert isinstance(c(2), int)"), [call(1)], False),
        (check("assert abs(c(x=1) - 2) < 1e-6", "assert 1 < c(2) < 3"), [call(x=1), call(2)], True),
        (check("assert c(1) == 2", "for i in range(3): assert c(i) == i", "assert c(9) == 9"), [call(1)], False),
        (check("assert c(1) == 2", "assert c(c(2)) == 4"), [call(1)], False),
        (check("assert c(1) == 2", "assert c(2) == c(3)"), [call(1)], False),
        (check("assert c(1) == 2", "assert c([0] * 3) == 4"), [call(1)], False),
        (check("assert c(1) == 2", "n = 3", "assert c(n) == 4"), [call(1)], False),
        (check("assert c(1) == 2", "assert all(c(i) for i in [1])"), [call(1)], False),
        (check("assert c(1) == 2", "assert 0 or c(2)"), [call(1)], False),
        (check("assert c(1) == 2", "assert 1 < 0 < c(2)"), [call(1)], False),
        (check("assert c(1) == 2", "assert c(2) == other(2)"), [call(1)], False),
        (check("assert c(1) == 2", "assert other(2) == 2", "assert c(3) == 3"), [call(1)], False),
        (check("assert c(1) == 2", "assert c(2) == 2, c(3)"), [call(1)], False),
        (check("assert c(1) == 2", "c = str", "assert c(2) == '2'"), [call(1)], False),
        (check("try:", "    assert c(1)", "except ValueError:", "    pass"), [], False),
        ("x = f(1)\n" + check("assert c(1) == 2"), [], False),
        ("def check(c, d=1):\n    assert c(1) == 2\n", [], False),
        ("def check(*c):\n    assert c(1) == 2\n", [], False),
        ("def check(c)\n", [], False),
    ],
)
def test_calls_that_a_check_is_sure_to_make(text: str, requests: list[Any], complete: bool) -> None:
    assert requests_of(calls_of_check(text, "f")) == (requests, complete)


@pytest.mark.parametrize(
    ("text", "setup", "requests", "complete"),
    [
        ("assert f(1) == 2", "", [call(1)], True),
        ("assert sorted(f((1, 2))) == [1]", "", [call({"tuple": [1, 2]})], True),
        ("assert math.isclose(f(1), 2)", "", [call(1)], True),
        ("assert f(1) == 2\nassert f(2) == 3", "", [call(1), call(2)], True),
        ("assert sum(1, 2) == 3", "", [], False),  # a task may be called so, or not
        ("assert isclose(1, 2)", "", [], False),
        ("assert f(g(1)) == 2", "", [], False),
        ("assert f(1) == LIMIT", "", [], False),
        ("assert f(1) == LIMIT", "LIMIT = 2", [], False),
        ("assert f(1) == 2", "def f(x): return x", [], False),  # the setup's own
        ("assert f(Node(1)) == 2", "class Node:\n    pass", [], False),
        ("assert f(**{'x': 1}) == 2", "", [], False),
        ("assert f(*[1]) == 2", "", [], False),
        ("with raises(ValueError):\n    f(1)", "", [], False),
    ],
)
def test_calls_that_an_assert_is_sure_to_make(text: str, setup: str, requests: list[Any], complete: bool) -> None:
    assert requests_of(calls_of_assert(text, setup)) == (requests, complete)


CALL = ("call", "f", [1], 2, False, None)
LONG_CHECK = ("check", check("assert c(1) == 2", "assert c(3) == 4"), "f")


def groups(*tests: Any, stop: bool = False) -> list[list[Any]]:
    """Groups of requests from the first of these tests on."""
    rows = [[at, *test] for at, test in enumerate(tests)]
    return TestSet(rows, "").groups_from(range(len(rows)), len(rows) - 1, stop)


def test_requests_of_several_tests_go_together() -> None:
    result = ["result", "f", [[1], {}], False]
    last = [*result[:-1], True]
    assert groups(CALL, CALL, CALL) == [[result, result, last]]
    assert groups(CALL, CALL, CALL, stop=True) == [[result]]  # the first may end the job
    assert groups(CALL, LONG_CHECK) == [[result, call(1), call(3)]]
    # a check that fails at its first call leaves the second unmade, and another test comes behind it
    assert groups(LONG_CHECK, CALL) == []
    assert groups(CALL, LONG_CHECK, CALL) == [[result]]
    assert groups(LONG_CHECK, LONG_CHECK, stop=True) == [[call(1), call(3)]]
    other = ("assert", "for x in [1]:\n    assert f(x)")
    assert groups(CALL, CALL, other, CALL) == [[result, result]]
    assert groups(other, CALL) == []


def values(*pairs: tuple[Any, Any]) -> list[Any]:
    """Call tests of these inputs and answers."""
    return [("call", "f", [encode(given)], encode(answer), False, None) for given, answer in pairs]


@pytest.mark.parametrize(
    ("pairs", "first_group"),
    [
        ([(1, 10), (2, 20), (3, 30)], 3),
        ([(0, 1), (1, 2), (2, 3)], 1),
        ([(0, 5), (1, 6), (6, 7), (8, 9)], 2),
        ([([3, 1, 2], [1, 2, 3]), ([1, 2, 3], [1, 2, 3])], 1),
        ([("b", ["x", "y"]), ("y", 0)], 1),  # a part of an answer is one, too
        ([("b", 5), ({"k": [(4, 5)]}, 0)], 1),
        ([(1, (7, 8)), ([7, 8], 0)], 1),  # a list is answered by a tuple
        ([(2, True), (1, False)], 1),  # 1 == True
        ([(2, {3, 4}), (frozenset({3, 4}), 0)], 1),
        ([(2, "ab"), ("abc", 0)], 2),
    ],
)
def test_no_call_goes_with_one_whose_answer_it_is_given(pairs: list[tuple[Any, Any]], first_group: int) -> None:
    (group,) = groups(*values(*pairs))
    assert len(group) == first_group


def test_calls_of_a_check_do_not_go_with_one_whose_answer_they_are_given() -> None:
    text = check("assert c(1) == 2", "assert abs(c(3) - 4.5) < 1e-6", "assert c([[2]]) == 9", "assert c(7) == 8")
    assert groups(("check", text, "f")) == [[call(1), call(3)], [call([[2]]), call(7)]]


def test_no_more_is_on_its_way_than_a_socket_holds() -> None:
    assert [len(group) for group in groups(*[CALL] * 600)] == [256]
    long_check = check(*["assert c(1) == 2"] * 600)
    assert [len(group) for group in groups(("check", long_check, "f"))] == [256, 256, 88]
    large = ("call", "f", ["x" * 20_000], 2, False, None)
    assert [len(group) for group in groups(large, large, large)] == [1]
    for too_large in (("call", "f", ["x" * 40_000], 2, False, None), ("call", "f", [1], "x" * 40_000, False, None)):
        assert groups(too_large, CALL) == []
        assert [len(group) for group in groups(CALL, too_large)] == [1]


def test_deep_values_and_texts_are_read(executor: LocalExecutor) -> None:
    deep: Any = 1
    for _ in range(380):
        deep = (deep,)
    tests = tuple(CallTest("f", (i, deep), deep) for i in (2, 3))
    assert executor.submit(Job("def f(i, x): return x", tests)).result().outcome is Outcome.PASSED
    text = "assert f(1) == " + "[" * 80 + "0" + "]" * 80
    assert requests_of(calls_of_assert(text, "")) == ([call(1)], True)
    calls_of_assert("assert f(1) == " + "-" * 3000 + "1", "")  # nested deeper than Python's own limit
    calls_of_assert("assert " + "not " * 3000 + "f(1)", "")


def test_many_tests_are_not_read_again_for_each_of_them(executor: LocalExecutor) -> None:
    program = "import os\ndef f(x): return x + 5000 if x % 40 else os._exit(0)"
    tests = tuple(CallTest("f", (i,), i + 5000) for i in range(2000))
    verdict = executor.submit(Job(program, tests)).result()
    assert verdict.passed == 1950


PEEKS = """
import sys, marshal
def f(x):
    frame = sys._getframe()
    while frame is not None:
        rest = getattr(frame.f_locals.get("channel"), "_received", b"")
        if rest:
            return marshal.loads(rest[4 : 4 + int.from_bytes(rest[:4], "big")])[2][0][0]
        frame = frame.f_back
"""


def test_a_program_that_reads_what_is_sent_finds_no_answer(executor: LocalExecutor) -> None:
    apart = Job(PEEKS, tuple(CallTest("f", (given,), answer) for given, answer in ((1, 10), (2, 20))), answers=True)
    assert executor.submit(apart).result().answers[0] == "2"  # it does read it
    for pairs in ([(i, i + 1) for i in range(6)], [([3, 1], [1, 3]), ([1, 3], [1, 3]), (5, 5)]):
        verdict = executor.submit(Job(PEEKS, tuple(CallTest("f", (g,), a) for g, a in pairs))).result()
        assert verdict.passed == 0, pairs
    asserts = tuple(AssertTest(f"assert f({i}) == {i + 1}") for i in range(4))
    assert executor.submit(Job(PEEKS, asserts)).result().passed == 0
    nothing_else = "".join(f"    assert c({i}) == {i + 1}\n" for i in range(4)) + "    assert c(4) is None\n"
    assert executor.submit(Job(PEEKS, (CheckTest(f"def check(c):\n{nothing_else}", "f"),))).result().passed == 0


class Recorder:
    """Requests to a program that answers each with its number."""

    def __init__(self) -> None:
        self.sent: list[list[Any]] = []
        self._asked: list[int] = []
        self.requests = Requests(self._send, self._answer)

    def _send(self, messages: list[Any]) -> None:
        self.sent.append(messages)
        self._asked += [message[-1] for message in messages]

    def _answer(self) -> dict[str, Any]:
        number = self._asked.pop(0)
        return {"n": number, "value": number}


def test_what_is_sent_together_is_answered_one_at_a_time() -> None:
    recorder = Recorder()
    recorder.requests.pipeline([[["a"], ["b"], ["c"]], [["d"], ["e"]]])
    assert [recorder.requests.send([name])["value"] for name in "abcdef"] == [1, 2, 3, 4, 5, 6]
    assert recorder.sent == [[["a", 1], ["b", 2], ["c", 3]], [], [], [["d", 4], ["e", 5]], [], [["f", 6]]]
    assert not recorder.requests.unread


def test_another_request_first_sends_nothing_together() -> None:
    recorder = Recorder()
    recorder.requests.pipeline([[["a"], ["b"]]])
    assert [recorder.requests.send([name])["value"] for name in "xab"] == [1, 2, 3]
    assert recorder.sent == [[["x", 1]], [["a", 2]], [["b", 3]]]


def test_another_request_in_between_is_told_again_and_again() -> None:
    recorder = Recorder()
    recorder.requests.pipeline([[["a"], ["b"]]])
    recorder.requests.send(["a"])
    assert recorder.requests.unread
    for name in "xb":
        with pytest.raises(Diverged):
            recorder.requests.send([name])
    assert recorder.requests.diverged
    assert len(recorder.sent) == 1


INCREMENT = check("assert c(1) == 2", "assert c(2) == 3", "assert c(3) == 4")
CALLS = [CallTest("f", (i,), i + 1) for i in range(5)]
PROGRAMS: dict[str, tuple[str, list[Test]]] = {
    "passes": ("def f(x): return x + 1", [CheckTest(INCREMENT, "f")]),
    "wrong, and ends at a later call": (
        "import os\ndef f(x):\n    if x == 3: os._exit(0)\n    return 0",
        [CheckTest(INCREMENT, "f")],
    ),
    "wrong, and forbidden at a later call": (
        "import os\ndef f(x):\n    if x == 3: os.execv('/bin/true', ['true'])\n    return 0",
        [CheckTest(INCREMENT, "f")],
    ),
    "wrong, and too much memory at a later call": (
        "def f(x):\n    if x == 3: return len(bytearray(1 << 30))\n    return 0",
        [CheckTest(INCREMENT, "f")],
    ),
    "wrong, and prints without end at a later call": (
        "def f(x):\n    while x == 3: print('x' * 1000)\n    return 0",
        [CheckTest(INCREMENT, "f")],
    ),
    "raises at a later call": ("def f(x):\n    if x == 3: [][0]\n    return x + 1", [CheckTest(INCREMENT, "f")]),
    "ends at a later call": ("def f(x):\n    if x == 3: exit(2)\n    return x + 1", [CheckTest(INCREMENT, "f")]),
    "one call hangs": ("def f(x):\n    while x == 2: pass\n    return x + 1", [*CALLS]),
    "one call raises": ("def f(x): return x + 1 if x - 3 else x / 0", [*CALLS]),
    "one call ends": ("import os\ndef f(x): return x + 1 if x - 3 else os._exit(3)", [*CALLS]),
    "one answer is wrong": ("def f(x): return x + (x != 1)", [*CALLS]),
    "does not compile": ("def f(x:", [CheckTest(INCREMENT, "f"), *CALLS]),
    "does not load": ("1 / 0", [*CALLS]),
    "a function is missing": ("g = 1", [*CALLS]),
    "a check that fails stands before other tests": (
        "n = 0\ndef f(x):\n    global n\n    n += 1\n    return n",
        [CheckTest(INCREMENT, "f"), CallTest("f", (0,), 2), CallTest("f", (0,), 3)],
    ),
    "counts its calls": (
        "n = []\ndef f(x): return n.append(x)\ndef count(): return len(n)",
        [AssertTest("assert f(1) is None"), AssertTest("assert count() == 1"), AssertTest("assert f(1) is None")],
    ),
    "a generator that looks at what later calls change": (
        "n = [0]\ndef f(x):\n    n[0] = 0\n    yield n[0]\ndef g(x):\n    n[0] = x\n    return x",
        [AssertTest("assert g(3) == 3"), AssertTest("assert list(f(2)) == [0]"), AssertTest("assert g(4) == 4")],
    ),
    "a lazy iterator whose values later calls change": (
        "n = [1]\ndef f(x): return map(lambda y: y + n[0], [x])\ndef g(x):\n    n[0] = x\n    return x",
        [
            AssertTest("assert list(f(2)) == [3]"),
            AssertTest("assert g(5) == 5"),
            AssertTest("assert list(f(2)) == [7]"),
        ],
    ),
    "objects of its own": (
        "class P:\n    def __init__(self, x): self.x = x\nlast = []\ndef f(x):\n    last[:] = [x]\n    return P(last)",
        [AssertTest("assert f(1).x == [1]"), AssertTest("assert f(2).x == [2]")],
    ),
    "calls what an earlier test lent it": (
        "kept = []\ndef keep(g): return kept.append(g)\ndef f(x): return kept[0](x)",
        [
            AssertTest("assert keep(lambda x: x + 10) is None"),
            AssertTest("assert f(1) == 11"),
            AssertTest("assert f(2) == 12"),
            AssertTest("assert f(3) == 13"),
        ],
    ),
    "what a test lends it calls it in turn": (
        "log = []\ndef call(g): return g()\ndef f(x):\n    log.append(x)\n    return len(log) + 10",
        [
            AssertTest("assert call(lambda: f(1)) == 11"),
            AssertTest("assert f(1) == 12"),
            AssertTest("assert f(2) == 13"),
        ],
    ),
    "an argument is changed": (
        "def f(x):\n    x.append(1)\n    return x",
        [CheckTest(check("assert c([1]) == [1, 1]", "x = c([2])", "assert x == [2, 1]"), "f")],
    ),
    "a test fails before it calls": (
        "n = 0\ndef f(x):\n    global n\n    n += 1\n    return n",
        [AssertTest("assert f(1) == 1"), AssertTest("assert [][0] == f(2)"), AssertTest("assert f(3) == 2")],
    ),
    "a test that cannot be judged": (
        "def f(x): return x",
        [AssertTest("assert f(1) == 1"), AssertTest("assert (lambda: 1)() == f(2)"), AssertTest("assert f(3) == 3")],
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_verdict_is_that_of_one_request_at_a_time(executor: LocalExecutor, name: str) -> None:
    program, tests = PROGRAMS[name]
    together, one_at_a_time = (
        executor.submit(Job(program, tuple(tests), coverage=coverage)).result() for coverage in (False, True)
    )
    assert [t.status for t in together.tests] == [t.status for t in one_at_a_time.tests]
    errors = [[t.error and (t.error.type, t.error.line) for t in v.tests] for v in (together, one_at_a_time)]
    assert errors[0] == errors[1]


def test_a_wrong_answer_is_told_before_a_later_call_comes_to_an_end(executor: LocalExecutor) -> None:
    program = "def f(x):\n    while x == 3: pass\n    return 0"
    start = time.monotonic()
    verdict = executor.submit(Job(program, (CheckTest(INCREMENT, "f"),), timeout=60)).result()
    assert verdict.outcome is Outcome.WRONG_ANSWER
    assert time.monotonic() - start < 30


def test_a_job_that_ends_at_its_first_failure_makes_no_call_behind_it() -> None:
    program = "def f(x):\n    while x == 3: pass\n    return 0"
    with LocalExecutor(workers=1, timeout=60, stop_at_first_failure=True) as pool:
        start = time.monotonic()
        verdict = pool.submit(Job(program, (CallTest("f", (1,), 2), CallTest("f", (3,), 4)))).result()
    assert [t.status for t in verdict.tests] == [Outcome.WRONG_ANSWER, Outcome.WRONG_ANSWER]
    assert time.monotonic() - start < 30
