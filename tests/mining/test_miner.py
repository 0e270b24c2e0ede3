"""Functions that are mined pass tests that notice mistakes; every other one is left out with its reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.mining.job import row_of
from rltf.mining.miner import MinedFunction
from rltf.mining.mistakes import mistaken_copies
from rltf.mining.oracle import Answer, is_short, same
from rltf.mining.selection import Candidate, choose, kills_of
from rltf.types import Job, Outcome, TestResult, Verdict

GOOD = """
def count(words, letter):
    total = 0
    for word in words:
        if word[0] == letter:
            total += 1
    return total

def larger(a: int, b: int):
    return a if a > b + 2 else b

def halves(x: float, n: int):
    return [x / (i + 2) for i in range(n)]

def pairs(xs: list[int]):
    return {(x, x + 1): {x} for x in xs}
"""


def test_good_functions_pass_their_own_tests_and_hand_made_mutants_die(mine, pools):
    mined = mine(GOOD)
    for result in mined.values():
        assert isinstance(result, MinedFunction), result
        assert 2 <= len(result.tests) <= 6
        job = Job(result.function.code, result.tests, result.function.setup)
        assert [pool.submit(job).result().outcome for pool in pools] == [Outcome.PASSED] * 2
        assert result.killed <= result.mutants
    code = mined["count"].function.code
    wrong = [
        code.replace("word[0]", "word[-1]"),
        code.replace("+= 1", "+= 2"),
        code.replace("== letter", "!= letter"),
        code.replace("return total", "return letter"),
    ]
    verdicts = [pools[0].submit(Job(program, mined["count"].tests)).result() for program in wrong]
    assert sum(verdict.outcome is not Outcome.PASSED for verdict in verdicts) >= 3
    assert {test.tolerance for test in mined["halves"].tests if test.expected} == {1e-6}
    assert {test.tolerance for test in mined["larger"].tests} == {None}
    assert row_of(mined["pairs"])["tests"][0]["expected"].keys() == {"dict"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f(xs): return list(set(xs))", "answers differently each time"),
        ("def f(xs: list[str]): return list(set(xs))", "answers differently each time"),
        ("def f(xs: list[int]):\n    xs.sort()\n    return xs[0]", "changes its arguments"),
        ("def f(x): return x", "returns an argument as it is"),
        ("def f(x): return 3", "always returns the same"),
        ("def f(n: int):\n    while n > 0: n += 1\n    return n", "takes too long"),
        ("def f(x: int): return x.lower()", "raises on most inputs"),
        ("def f(n: int): return 10 ** (n + 500)", "has fewer than 6 inputs with a short answer"),
        ("def f(n: int): return lambda: n", "returns what is no plain value"),
        ("def f(x: bool): return not x", "has fewer than 6 inputs with a short answer"),
    ],
)
def test_a_function_is_left_out_with_its_reason(mine, text, reason):
    assert mine(text) == {"f": reason}


def test_without_a_second_hash_seed_an_order_of_sets_would_be_taken_for_an_answer(mine, pools):
    text = "def f(xs: list[str]): return list(set(xs))"
    assert isinstance(mine(text, pools=(pools[0], pools[0]))["f"], MinedFunction)
    assert mine(text)["f"] == "answers differently each time"


def test_hostile_functions_are_left_out_and_the_pools_go_on(mine):
    text = (
        "def f(n: int):\n    xs = [n]\n    while True: xs = xs + xs\n    return xs\n"
        "def g(n: int):\n    return 'x' * (1 << 22) * n\n"
        "def h(n: int):\n    return h(n + 1)\n"
        "def good(n: int): return n * 3 + 1\n"
    )
    results = mine(text, inputs=10)
    assert [name for name, result in results.items() if isinstance(result, MinedFunction)] == ["good"]
    assert all(isinstance(results[name], str) for name in "fgh")


def test_what_is_at_the_top_of_a_file_is_not_run(mine, tmp_path):
    canary = tmp_path / "canary"
    canary.write_text("alive")
    text = f"import os\nos.remove({str(canary)!r})\nos.fork()\nprint('x' * 1000000)\ndef f(x: int): return x * 2 + 1\n"
    assert isinstance(mine(text)["f"], MinedFunction)
    assert canary.read_text() == "alive"


def test_types_are_those_with_which_a_function_raises_least_and_reaches_most(mine):
    text = (
        "def f(s):\n    n = 0\n    for i in range(len(s)):\n        if s[i] == '1':\n            n += 2\n    return n"
    )
    assert list(map(str, mine(text)["f"].types)) == ["str"]


def test_an_input_whose_error_is_caught_is_no_example(mine):
    text = "def f(s: str):\n    try:\n        return int(s) + 1\n    except ValueError:\n        return 'bad ' + s"
    assert {type(test.expected) for test in mine(text)["f"].tests} == {int}


def test_tests_that_notice_few_mistakes_are_no_tests(mine):
    text = "def f(n: int):\n    if n == 3:\n        return 7\n    if n == 5:\n        return 9\n    return n"
    assert mine(text, tests=2, kill_share=1.0)["f"] == "has tests that notice few mistakes"
    assert isinstance(mine(text, tests=6, kill_share=1.0)["f"], MinedFunction)


def results(*statuses):
    return Verdict(Outcome.PASSED, 0, len(statuses), tests=tuple(TestResult(s, 0.0) for s in statuses))


def test_after_a_timeout_nothing_is_known():
    passed, wrong, late = Outcome.PASSED, Outcome.WRONG_ANSWER, Outcome.TIMEOUT
    assert kills_of(results(passed, wrong, late, late)) == [False, True, True, False]


def candidate(*kills, output="x", length=10, ordinary=True):
    return Candidate(frozenset(kills), output, length, ordinary)


def test_a_cover_takes_ordinary_inputs_first_then_edges_that_are_needed():
    ordinary = [candidate(1), candidate(1, 2), candidate(2, 3)]
    edges = [candidate(1, 2, 3, ordinary=False), candidate(4, ordinary=False)]
    assert choose([*ordinary, *edges], 3) == [1, 2, 4]
    assert choose([*ordinary, *edges], 9) == [1, 2, 4, 0]  # an edge input that kills nothing new stays out
    assert choose([candidate(length=length, output=str(length)) for length in (1, 20, 90)], 1) == [1]
    assert choose([candidate(), candidate(output="y"), candidate()], 2) == [0, 1]
    assert choose([], 3) == []


@given(
    st.lists(st.builds(candidate, *[st.integers(0, 5)] * 2, length=st.integers(1, 9)), max_size=9), st.integers(1, 9)
)
def test_a_cover_has_no_input_twice_and_kills_what_can_be_killed(candidates, count):
    chosen = choose(candidates, count)
    assert len(set(chosen)) == len(chosen) == min(count, len(candidates))
    if count >= 6:
        killed = set().union(*(candidates[at].kills for at in chosen))
        assert killed == set().union(*(c.kills for c in candidates))


def test_answers_are_the_same_only_to_the_type():
    assert same(Answer([1, (2,)]), Answer([1, (2,)]))
    for first, second in ((1, True), (1, 1.0), ([1], (1,)), ({1: 2}, {1: 3}), (float("nan"), float("nan"))):
        assert not same(Answer(first), Answer(second))
    assert not same(Answer(1), Answer(1, kind="error"))


def test_an_answer_that_no_test_can_hold_is_long():
    assert is_short([1] * 100)
    assert not any(map(is_short, ([1] * 200, float("inf"), [1.0, float("nan")], 10**5000, {"a": complex("nan")})))


def test_mutants_differ_by_one_mistake_and_come_evenly_from_the_kinds():
    code = "def f(n):\n    return [i for i in range(n) if i > 2]"
    mutants = mistaken_copies(code, 5, 0)
    assert len(set(mutants)) == 5
    assert code not in mutants
    assert mutants == mistaken_copies(code, 5, 0)
    assert any("range(n + 1)" in m or "range(1, n)" in m for m in mutants)
    assert any("i < 2" in m or "i >= 2" in m for m in mutants)
    assert mistaken_copies("x = y", 5, 0) == []
