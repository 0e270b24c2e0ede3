"""Tests that check nothing are recognised by their text, and no other test is."""

import pytest

from rltf.execution.text_checks import problem_of_text

NO_CHECK = "checks nothing: it has no assert, raise or other call that can fail"
HOLDS = "checks nothing: its asserts hold whatever the program does"
CAUGHT = "checks nothing: what its asserts raise is caught"
TEST_CASE = "import unittest\nclass T(unittest.TestCase):\n    def test_1(self):\n        self.assertEqual(f(1), 2)"

EMPTY = {
    "": "checks nothing: it has no statements",
    "# assert f(1) == 2": "checks nothing: it has no statements",
    "pass": NO_CHECK,
    "'assert f(1) == 2'": NO_CHECK,
    "f(1)": NO_CHECK,
    "f(1) == 2": NO_CHECK,
    "print(f(1))": NO_CHECK,
    "assert_equal(f(1), 2)": NO_CHECK,  # whose word it is: the program's
    "for x in []:\n    assert f(x)": NO_CHECK,
    "if False:\n    assert f(1)": NO_CHECK,
    "while 0:\n    assert f(1)": NO_CHECK,
    "assert True": HOLDS,
    "assert 'f(1) == 2'": HOLDS,
    "assert 1 + 1 == 2": HOLDS,
    "assert (f(1) == 2, 'message')": HOLDS,
    "assert f(1) == 2 or True": HOLDS,
    "x = f\nx = 1\nassert [x == 1]": HOLDS,
    "expected = 2\nassert expected == 2": HOLDS,
    "import math\nassert math.isclose(1.0, 1.0)": HOLDS,
    "import numpy as np\nnp.testing.assert_equal(2, 2)": HOLDS,
    "try:\n    assert f(1) == 2\nexcept:\n    pass": CAUGHT,
    "try:\n    assert f(1) == 2\nexcept (ValueError, AssertionError) as e:\n    print(e)": CAUGHT,
    "from contextlib import suppress\nwith suppress(Exception):\n    assert f(1) == 2": CAUGHT,
    "import contextlib\nwith contextlib.suppress(AssertionError):\n    assert f(1) == 2": CAUGHT,
    "def go():\n    assert f(1) == 2\ntry:\n    go()\nexcept Exception:\n    pass": CAUGHT,
    "def test_a():\n    assert f(1) == 2\ndef test_b():\n    assert f(2) == 3": (
        "checks nothing: nothing calls test_a, test_b"
    ),
    "class TestF:\n    def test_a(self):\n        assert f(1) == 2": "checks nothing: nothing calls TestF",
    TEST_CASE: "checks nothing: nothing calls T",
    f"{TEST_CASE}\nunittest.main()": ("checks nothing: unittest.main() looks for tests in another module"),
    "import pytest\n@pytest.mark.parametrize('a', [1])\ndef test_f(a):\n    assert f(a) == 2": (
        "checks nothing: nothing calls test_f"
    ),
    "def test_f():\n    assert f(1) == 2\nif __name__ == '__main__':\n    test_f()": (
        'checks nothing: what stands under `if __name__ == "__main__"` is no part of a test'
    ),
    "def test_a():\n    test_b()\ndef test_b():\n    test_a()\n    assert f(1) == 2": (
        "checks nothing: nothing calls test_b"
    ),
}

EMPTY_CHECKS = {
    "def test(candidate):\n    assert candidate(1) == 2": "does not define the function check",
    "assert candidate(1) == 2": "does not define the function check",
    "class A:\n    def check(self, candidate):\n        assert candidate(1) == 2": "does not define the function check",
    "def check():\n    assert f(1) == 2": (
        "has a function check that takes no argument: expected one, the function under test"
    ),
    "def check(candidate, expected):\n    assert candidate(1) == expected": (
        "has a function check that takes 2 arguments: expected one, the function under test"
    ),
    "async def check(candidate):\n    assert candidate(1) == 2": (
        "checks nothing: check is a coroutine, which nothing awaits"
    ),
    "def check(candidate):\n    assert candidate(1) == 2\n    yield": (
        "checks nothing: check is a generator, which nothing iterates"
    ),
    "def check(candidate):\n    pass": NO_CHECK,
    "def check(candidate):\n    candidate(1) == 2": NO_CHECK,
    "def check(candidate):\n    return\n    assert candidate(1) == 2": NO_CHECK,
    "def check(candidate):\n    assert True, 'good for debugging'": HOLDS,
    "def check(candidate):\n    assert len([1]) == 1": HOLDS,
    "def check(candidate):\n    def inner():\n        assert candidate(1) == 2": "checks nothing: nothing calls inner",
}

CHECKING = (
    "assert f(1) == 2",
    "assert sum(10, 15) == 6",  # MBPP has tasks that are named as builtins are
    "assert not f(1), 'message'",
    "assert result == 42",
    "class T:\n    assert f(1) == 2",
    "for x in range(3):\n    assert f(x) == x",
    "def test_f():\n    assert f(1) == 2\ntest_f()",
    "def test_f():\n    assert f(1) == 2\nfor test in (test_f,):\n    test()",
    "def test_f():\n    assert f(1) == 2\nimport threading\nthreading.Thread(target=test_f).start()",
    "def test_f():\n    assert f(1) == 2\nfor k, v in [*globals().items()]:\n    if k.startswith('test'):\n        v()",
    "def now(function):\n    function()\n@now\ndef test_f():\n    assert f(1) == 2",
    f"{TEST_CASE}\nT('test_1').debug()",
    "import unittest\nunittest.TestCase().assertEqual(f(1), 2)",
    "import pytest\nwith pytest.raises(ValueError):\n    f(1)",
    "import numpy as np\nnp.testing.assert_allclose(f(1), 2)",
    "from numpy.testing import assert_allclose\nassert_allclose(f(1), 2)",
    "try:\n    f(-1)\nexcept ValueError:\n    pass\nelse:\n    assert False",
    "try:\n    f(-1)\n    assert False\nexcept ValueError:\n    pass",
    "try:\n    assert f(1) == 2\nexcept AssertionError as e:\n    raise ValueError from e",
    "if f(1) != 2:\n    raise AssertionError",
    "import sys\nif f(1) != 2:\n    sys.exit(1)",
    "exec('assert f(1) == 2')",
    "assert globals()['f'](1) == 2",
    "def helper(x):\n    return f(x)\nassert helper(1) == 2",
    "values = [1]\nf(values)\nassert values == [2]",
    "seen = []\nfor i in range(3):\n    seen.append(f(i))\nassert seen == [0, 1, 2]",
    "ok = False\ntry:\n    f(1)\nexcept ValueError:\n    ok = True\nassert ok",
    "import io, contextlib\no = io.StringIO()\nwith contextlib.redirect_stdout(o):\n    f(1)\nassert o.getvalue()",
    "import sys, io\nsys.stdout = io.StringIO()\nf(1)\nout = sys.stdout.getvalue()\nassert out == '1'",
    "called(f)",  # a function of the setup below
    "match f(1):\n    case 2:\n        pass\n    case other:\n        assert other == 3",
)

CHECKING_CHECKS = (
    "def check(candidate):\n    assert candidate(1) == 2",
    "def check(f, *, tolerance=1e-6):\n    assert abs(f(1) - 2) < tolerance",
    "def check(*functions):\n    assert functions[0](1) == 2",
    "def check(candidate):\n    assert candidate(1) == 2\ncheck(f)",
    "def check(candidate):\n    run(candidate)\ndef run(function):\n    assert function(1) == 2",
    "check = lambda candidate: run(candidate)\ndef run(function):\n    assert function(1) == 2",
    "if True:\n    def check(candidate):\n        assert candidate(1) == 2",
    "from functools import partial\ndef run(cases, f):\n    assert f(cases)\ncheck = partial(run, 1)",
    "def check(candidate):\n    hit = 0\n    for x in candidate(3):\n        hit = 1\n    assert hit",
    "def check(candidate):\n    stack = []\n    candidate(stack)\n    assert stack == [1]",
    "def check(candidate):\n    for x in range(3):\n        called(candidate)",
)


@pytest.mark.parametrize("text", EMPTY)
def test_an_assert_text_without_a_check_is_told(text):
    assert problem_of_text(text, "assert") == EMPTY[text]


@pytest.mark.parametrize("text", EMPTY_CHECKS)
def test_a_check_text_without_a_check_is_told(text):
    assert problem_of_text(text, "check") == EMPTY_CHECKS[text]


@pytest.mark.parametrize(
    ("kind", "text"), [("assert", text) for text in CHECKING] + [("check", text) for text in CHECKING_CHECKS]
)
def test_a_text_that_can_fail_is_not_refused(kind, text):
    assert problem_of_text(text, kind, "def called(function):\n    assert function(1) == 2") is None


def test_what_does_not_compile_is_told_with_its_line():
    assert problem_of_text("x = 1\nassert f(1) ==", "assert") == "does not compile: invalid syntax (<test>, line 2)"
    assert str(problem_of_text("\0", "assert")).startswith("does not compile: ")


def test_a_setup_that_does_not_compile_hides_nothing():
    assert problem_of_text("assert f(1) == 2", "assert", "def (") is None
    assert problem_of_text("f(1)", "assert", "def (") == NO_CHECK


def test_deep_and_long_texts_are_not_refused():
    branches = "".join(f"elif f({i}):\n    pass\n" for i in range(2000))
    assert problem_of_text(f"if f(0):\n    pass\n{branches}else:\n    assert f(1)", "assert") is None
    assert problem_of_text("assert " + " + ".join(["f(1)"] * 500), "assert") is None
    assert problem_of_text("f(1)\n" * 200_000, "assert") is None  # too long to be read: the benefit of the doubt
