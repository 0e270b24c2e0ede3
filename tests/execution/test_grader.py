"""The grader, one process for the tests of many programs: nothing of one reaches another."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from rltf.execution import LocalExecutor
from rltf.execution.grader.purity import is_pure
from rltf.types import AssertTest, CallTest, Job, Outcome, StdioTest, Test, Verdict

LEAVES_SOMETHING = (
    "from decimal import getcontext as g\ng().prec = 3",
    "import decimal as d\nd.getcontext().prec = 3",
    "from decimal import *\ngetcontext().prec = 3",
    "import numpy.random as r\nr.seed(1)",
    "from numpy.random import seed\nseed(1)",
    "from numpy import random as r, sum\nr.seed(1)",
    "from numpy import seterr as s\ns(all='raise')",
    "np.savetxt('file', [1])",
    "np.sum = None",
    "import math\nmath.pi += 1",
    "del math.pi",
    "for math.pi in [3]: pass",
    "with f() as math.pi: pass",
    "m = math\nm.pi = 3",
    "[math][0].pi = 3",
    "def change(m=math): m.pi = 3",
    "E = json.JSONEncoder\nE.default = f",
    "Counter.most_common = f",
    "type(Counter()).most_common = f",
    "c = Counter()\nc.__class__.most_common = f",
    "copy.dispatch_table[list] = f",
    "copy.dispatch_table.update({})",
    "collections._sys.setrecursionlimit(200)",
    "typing.sys.setrecursionlimit(200)",
    "from typing import warnings as w\nw.simplefilter('error')",
    "import statistics as s\ns.random.seed(1)",
    "import operator\noperator.attrgetter('__dict__')(math)['pi'] = 3",
    "from operator import methodcaller as m\nm('__setattr__', 'pi', 3)(math)",
    "getattr(math, '__dict__')['pi'] = 3",
    "(i for i in [1]).gi_frame.f_builtins['abs'] = f",
    "locals()['__builtins__'].abs = f",
    "re._cache.clear()",
    "import xml.dom",
    "class A:\n    def __del__(self): f(1)",
    "exec('import math; math.pi = 3')",
    # compiled, but nested too deep for a tree before Python 3.13
    *(["x = " + "-" * 5000 + "1"] if sys.version_info < (3, 13) else []),
)
LEAVES_NOTHING = (
    "import math\nassert math.isclose(f(1), math.pi)",
    "from typing import *\nfrom collections import *\nassert f(Counter('aab'))['a'] == 2",
    "class Node:\n    def __init__(self, value, next=None):\n        self.value = value\n        self.next = next",
    "class Node: pass\ndef link(v: List[int]) -> Optional[Node]:\n    a = Node()\n    a.next = Node()\n    return a",
    "import random\nassert f(1) == 2",
    "assert np.allclose(f(1), [math.inf, 2])",
    "d = {}\nd['a'] = math.inf\nassert f(d) == d",
)


@pytest.mark.parametrize("text", LEAVES_SOMETHING)
def test_text_that_may_leave_something_runs_in_a_process_of_its_own(text: str) -> None:
    assert not is_pure(text)


@pytest.mark.parametrize("text", LEAVES_NOTHING)
def test_ordinary_text_costs_no_process(text: str) -> None:
    assert is_pure(text)


@pytest.fixture(scope="module", params=[(), ("namespaces",)], ids=["full", "no namespaces"])
def one(request: pytest.FixtureRequest) -> Iterator[LocalExecutor]:
    with LocalExecutor(workers=1, timeout=10.0, without=request.param) as executor:
        yield executor


def judged(executor: LocalExecutor, program: str, *tests: Test, setup: str = "", coverage: bool = False) -> Verdict:
    return executor.submit(Job(program, tests, setup, coverage=coverage)).result()


PLUS_ONE = "def f(x):\n    return x + 1\n"
TRACES = {
    "a file": "import os\nassert not os.path.exists('left')\nopen('left', 'w').close()",
    "a folder": "import tempfile, os\nassert os.listdir(tempfile.gettempdir()) == []\ntempfile.mkdtemp()",
    "a process": "import os\nif os.fork() == 0:\n    import time\n    time.sleep(1000)",
    "a process of a process": "import os\nif os.fork() == 0:\n    os.setsid()\n    os.fork() and os._exit(0)\n"
    "    import time\n    time.sleep(1000)",
    "a thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
}


@pytest.mark.parametrize("trace", TRACES)
def test_what_test_text_leaves_behind_goes_before_the_next_program(one: LocalExecutor, trace: str) -> None:
    for number in range(30 if "process" in trace else 3):  # more than a sandbox may have processes
        test = AssertTest(f"{TRACES[trace]}\nassert f(1) == 2")
        verdict = judged(one, f"{PLUS_ONE}# {trace} {number}", test)
        assert verdict.outcome is Outcome.PASSED, (number, verdict.error)


def test_text_that_ends_or_stops_its_process_costs_no_other_program(one: LocalExecutor) -> None:
    for number, end in enumerate(("os._exit(0)", "os._exit(70)", "os.abort()", "os.kill(0, 9)", "os.close(3)")):
        assert judged(one, PLUS_ONE, AssertTest(f"import os\nf(1)\n{end}\nassert f(1) == 2")).outcome in (
            Outcome.WRONG_ANSWER,
            Outcome.UNJUDGEABLE,
            Outcome.PASSED,
        )
        assert judged(one, f"{PLUS_ONE}# {number}", AssertTest("assert f(1) == 2")).outcome is Outcome.PASSED


@pytest.mark.parametrize("use", ["", "import os\nos.getpid()\n"], ids=["in the grader", "in a fork"])
@pytest.mark.parametrize(("ends", "outcome"), [("os._exit(0)", "runtime_error"), ("while True: pass", "timeout")])
def test_a_fork_of_the_grader_tells_how_the_program_ended(
    one: LocalExecutor, use: str, ends: str, outcome: str
) -> None:
    job = Job(f"import os\ndef f(x):\n    {ends}", (AssertTest(f"{use}assert f(1) == 2"),), timeout=1.0)
    assert one.submit(job).result().outcome == outcome


def test_a_request_after_its_job_meets_no_other_program(one: LocalExecutor) -> None:
    late = "def g():\n    try:\n        yield 1\n    finally:\n        f(5)\nkept = [g()]\nnext(kept[0])\n"
    cycle = "kept.append(kept)\nassert f(1) == 2"
    for number in range(5):
        assert judged(one, f"{PLUS_ONE}# late {number}", AssertTest(late + cycle)).outcome is Outcome.PASSED
    many = "assert sum(f(i) for i in range(2000)) == sum(range(1, 2001)) and len([[i] for i in range(100000)]) > 1"
    for number in range(5):
        verdict = judged(one, f"{PLUS_ONE}# after {number}", AssertTest(many), CallTest("f", (1,), 2))
        assert verdict.outcome is Outcome.PASSED


def test_equal_tests_of_two_tasks_keep_their_setups_apart(one: LocalExecutor) -> None:
    test = AssertTest("assert f(3) == expected()")
    for number in (10, 20, 10):
        setup = f"def expected():\n    return {number}"
        assert judged(one, f"def f(x):\n    return {number}", test, setup=setup).outcome is Outcome.PASSED
        assert judged(one, f"def f(x):\n    return {number + 1}", test, setup=setup).outcome is Outcome.WRONG_ANSWER


@pytest.mark.parametrize("kind", ["call", "assert", "stdio"])
def test_lines_of_a_test_are_found_in_linear_time_whatever_the_program_wrote_there(
    one: LocalExecutor, kind: str
) -> None:
    """20 tests took 72 s where 65,000 lines without a mark lay before one that was never executed."""
    program = """import mmap, sys
def write(constants=sys._getframe().f_code.co_consts):
    for constant in constants:
        if isinstance(constant, mmap.mmap):
            constant[:] = bytes([0, 1]) + bytes(65533) + bytes([2])
write()
def f(x):
    write()
    return 4
"""
    kinds: dict[str, Test] = {
        "call": CallTest("f", (1,), 4),
        "assert": AssertTest("assert f(1) == 4"),
        "stdio": StdioTest("", ""),
    }
    start = time.monotonic()
    assert judged(one, program, *[kinds[kind]] * 20, coverage=True).outcome is Outcome.PASSED
    assert time.monotonic() - start < 10
