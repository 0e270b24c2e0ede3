"""What the rows of the data sets mean as tests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.benchmarks.apps.tests import call_tests, stdio_tests
from rltf.benchmarks.asserts import call_test, called_function
from rltf.benchmarks.constant import constant_passes
from rltf.benchmarks.references import normalize_whitespace
from rltf.types import AssertTest, CallTest, CheckTest, Problem, StdioTest


def problem(*tests):
    return Problem("p", "", tests)


def asserts(*lines):
    return problem(*map(AssertTest, lines))


def check(body):
    return problem(CheckTest(f"def check(candidate):\n{body}", "f"))


@pytest.mark.parametrize(
    ("line", "function"),
    [
        ("assert f(1) == 2", "f"),
        ("assert is_Diff (12345) == False", "is_Diff"),
        ("assert set(similar((3, 4), (5, 4))) == set((4, 5))", "similar"),
        ("assert (Diff([10], [25])) == [10]", "Diff"),
        ("assert math.isclose(volume(10), 4188.79, rel_tol=0.001)", "volume"),
        ("assert not f('ac')", "f"),
        ("assert max_chain_length([Pair(5, 24)], 4) == 3", "max_chain_length"),
        ("assert 1 == 1", None),
    ],
)
def test_the_function_under_test_is_the_outermost_call_that_is_no_builtin(line, function):
    assert called_function(line) == function


def test_a_builtin_name_is_the_function_under_test_when_the_reference_defines_it():
    assert called_function("assert sum(10, 15) == 6", {"sum"}) == "sum"


def test_an_assert_becomes_a_call_only_where_json_keeps_its_values():
    assert call_test("assert f(-1, [2.5], k) == 1") == AssertTest("assert f(-1, [2.5], k) == 1")
    assert call_test("assert f(-1, [2.5], {'a': None}) == True") == CallTest("f", (-1, [2.5], {"a": None}), True)
    for line in [
        "assert f((1, 2)) == 3",
        "assert f([(1,)]) == 3",
        "assert f(1) == {1, 2}",
        "assert f({1: 2}) == 3",
        "assert f(b'x') == 3",
        "assert f(1e999) == 3",
        "assert f(x=1) == 3",
        "assert m.f(1) == 3",
        "assert f(1) is None",
        "assert not f(1)",
        "assert round(f(1), 2) == g(1)",
        "x = 1\nassert f(x) == 1",
    ]:
        assert call_test(line) == AssertTest(line)


def test_apps_lists_of_lines_are_joined():
    assert stdio_tests([["1 2", "3"], "4"], [["6"], "4\n"]) == (StdioTest("1 2\n3", "6"), StdioTest("4", "4\n"))


def test_apps_results_leave_their_one_element_lists_and_may_come_in_them():
    assert call_tests("f", [[1], [2]], [[False], [True]], "\ndef f(n):\n\t") == (
        CallTest("f", (1,), False, or_in_list=True),
        CallTest("f", (2,), True, or_in_list=True),
    )
    assert call_tests("f", [[1]], [[[3, 1]]], "") == (CallTest("f", (1,), [3, 1], or_in_list=True),)


def test_arguments_in_text_have_their_results_in_text():
    """LiveCodeBench: one JSON value a line, and one JSON value."""
    assert call_tests("f", ["[1, 2]\n3", '{"1": 2}\r\n"a\u2028b"\n'], ["6", "[4]"], "def f(a, b):") == (
        CallTest("f", ([1, 2], 3), 6),
        CallTest("f", ({1: 2}, "a\u2028b"), [4]),
    )
    assert call_tests("f", ["1"], ["7" * 5000], "")[0].expected == (10**5000 - 1) // 9 * 7
    assert call_tests("f", [["1"]], ["6"], "") == (CallTest("f", ("1",), "6"),)  # no text: a result that is a string


def test_apps_results_that_are_lists_stay_lists():
    for outputs, starter in [
        ([[1], [1, 2]], "def f(n):"),
        ([[9]], "class Solution:\n    def f(self, n: int) -> List[int]:"),
        ([-1, [54, 27], [1]], "def f(n):"),
        ([[3, 1], [0, 0]], "def f(n):"),
    ]:
        inputs = [[1]] * len(outputs)
        assert call_tests("f", inputs, outputs, starter) == tuple(CallTest("f", (1,), value) for value in outputs)


def test_apps_dictionaries_get_their_integer_keys_back():
    (test,) = call_tests("f", [[{"1": "a"}, {"x": 1}]], [{"2": 3}], "def f(d, e):")
    assert test.args == ({1: "a"}, {"x": 1})
    assert test.expected == {2: 3}


def test_equal_expectations_are_passed_by_a_constant():
    for constant in [
        problem(CallTest("f", (1,), [2]), CallTest("f", (2,), [2])),
        problem(StdioTest("1", "7\n"), StdioTest("2", " 7")),
        problem(StdioTest("1", "7")),
        asserts("assert f(1) == True", "assert f(2)", "assert f(3) is True", "assert f(4) == 1"),
        asserts("assert not f(1)", "assert f(2) == False"),
        asserts("assert math.isclose(f(1), 2.0, rel_tol=0.1)", "assert math.isclose(f(3), 2.0, rel_tol=0.1)"),
        asserts("assert set(f(1)) == set((4, 5))", "assert sorted(f(2)) == sorted((4, 5))"),
        check("    assert candidate(1) == 0\n    assert candidate(2) == 0, 'note'\n    assert True"),
    ]:
        assert constant_passes(constant), constant.tests


def test_a_difference_or_an_expectation_that_cannot_be_read_is_not_constant():
    for varied in [
        problem(CallTest("f", (1,), 0), CallTest("f", (2,), 1)),
        problem(CallTest("f", (1,), "1"), CallTest("f", (2,), 1)),
        problem(StdioTest("1", "7"), StdioTest("2", "7 7")),
        asserts("assert f(1)", "assert not f(2)"),
        asserts("assert f(1) == 0", "assert f(2) == g(0)"),
        asserts("assert f(1) > 0", "assert f(2) > 0"),
        check("    assert candidate(1) == 0\n    for n in range(3):\n        assert candidate(n) == n"),
        check("    assert candidate(1) == 0\n    assert candidate(2) == 1"),
    ]:
        assert not constant_passes(varied), varied.tests


def test_no_tests_are_not_passed_by_a_constant():
    assert not constant_passes(problem())


def test_tabs_become_blanks_only_where_the_program_stays_the_same():
    assert (
        normalize_whitespace("\r\ndef f(x):\r\n\tif x:\r\n\t\treturn '\t'\r\n")
        == "def f(x):\n    if x:\n        return '\t'"
    )
    text = 'def f():\n    return """\n\tx"""'
    assert normalize_whitespace(text) == text
    mixed = "def f(x):\n        if x:\n\treturn 1"
    assert normalize_whitespace(mixed) == mixed  # no Python either way: left as it is


@given(st.text(alphabet="x=1()\n\t \r:", max_size=40))
def test_cleaning_twice_is_cleaning_once(text):
    assert normalize_whitespace(normalize_whitespace(text)) == normalize_whitespace(text)
    assert "\r" not in normalize_whitespace(text)
