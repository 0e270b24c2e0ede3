"""One program a structure in the buffer: the newest."""

import io
from dataclasses import replace

import pytest
import torch
from rollout_strategies import build_rollout

from rltf.benchmarks.structure import structure_hash
from rltf.rollouts.distinct import DistinctBuffer
from rltf.validation import OptionError

EQUAL = [
    "def f(xs):\n    return [x for x in xs]",
    "def f(ys):\n    return [y for y in ys]",
    "def f(a):\n  return [b for b in a]  # all",
    'def f(xs):\n    """Copies."""\n    return [x for x in xs]',
    "def f( q ):\n\n    return [ r\n for r in q]",
]


def written(text, advantage=1.0, problem="p", **program):
    rollout = build_rollout(advantage=advantage, problem_id=problem, **program)
    return replace(rollout, program=replace(rollout.program, text=text))


def held(buffer):
    return [(r.program.problem_id, r.program.text, r.advantage) for r in buffer]


def test_five_programs_of_one_structure_leave_the_newest():
    buffer = DistinctBuffer(capacity=10)
    buffer.extend([written("x = 1", 9.0), *(written(text, float(i)) for i, text in enumerate(EQUAL))])
    assert held(buffer) == [("p", "x = 1", 9.0), ("p", EQUAL[-1], 4.0)]
    assert buffer.metrics(0)["buffer/merged_share"] == 4 / 6
    assert buffer.metrics(0)["buffer/size"] == 2
    buffer.extend([written(EQUAL[0], 7.0)])
    assert held(buffer) == [("p", "x = 1", 9.0), ("p", EQUAL[0], 7.0)]
    assert buffer.metrics(0)["buffer/merged_share"] == 1


def test_an_equal_program_goes_to_the_end_and_the_oldest_leave():
    buffer = DistinctBuffer(capacity=2)
    buffer.extend([written("a = 1"), written("a = 2"), written("b = 1"), written("a = 3")])
    assert [text for _, text, _ in held(buffer)] == ["b = 1", "a = 3"]


def test_the_same_program_for_another_problem_is_another():
    buffer = DistinctBuffer()
    buffer.extend([written("x = 1", problem="p"), written("x = 1", problem="q")])
    assert len(buffer) == 2


def test_programs_that_do_not_parse_merge_only_when_they_are_equal():
    buffer = DistinctBuffer()
    buffer.extend([written(text) for text in ("", "def f(x", "def f(y", "def f(x", "")])
    assert [text for _, text, _ in held(buffer)] == ["def f(y", "def f(x", ""]


def test_of_a_problem_at_most_so_many():
    buffer = DistinctBuffer(capacity=5, per_problem=2)
    buffer.extend([written(f"x = {i}", problem="p") for i in range(5)] + [written("y = 1", problem="q")])
    assert [(p, text) for p, text, _ in held(buffer)] == [("p", "x = 3"), ("p", "x = 4"), ("q", "y = 1")]


def test_greedy_programs_stay_out_and_count_for_nothing():
    buffer = DistinctBuffer()
    buffer.extend([written("x = 1"), written("x = 1", greedy=True)])
    assert buffer.metrics(0)["buffer/merged_share"] == 0


def test_a_state_comes_back_whole_and_goes_on_merging():
    buffer = DistinctBuffer(capacity=9)
    buffer.extend([written("x = 1", 1.0), written(EQUAL[0], 2.0)])
    file = io.BytesIO()
    torch.save(buffer.state_dict(), file)
    file.seek(0)
    restored = DistinctBuffer(capacity=9)
    restored.load_state_dict(torch.load(file, weights_only=True))
    assert list(restored) == list(buffer)
    restored.extend([written(EQUAL[1], 3.0)])
    assert held(restored) == [("p", "x = 1", 1.0), ("p", EQUAL[1], 3.0)]
    assert restored.metrics(0)["buffer/merged_share"] == 1
    smaller = DistinctBuffer(capacity=1)
    smaller.load_state_dict(buffer.state_dict())
    assert held(smaller) == [("p", EQUAL[0], 2.0)]


@pytest.mark.parametrize("options", [{"capacity": 0}, {"per_problem": 0}, {"per_problem": 1.5}])
def test_a_bound_below_one_is_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        DistinctBuffer(**options)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("x += 1", "x = x - 1"),
        ("x += 1", "x = x + 1"),
        ("def f(x): return len(x)", "def f(x): return sum(x)"),
        ("def f(a, b): return a - b", "def f(a, b): return b - a"),
        ("def f(a, b):\n    return g(b=1)", "def f(b, a):\n    return g(b=1)"),
        ("import math\nmath.sin(1)", "import math\nmath.cos(1)"),
        ("x = 'a'", "x = 1"),
        ("x = 1", "x = True"),
        ("x = 1", "x = 1.0"),
        ("x = b'a'", "x = 'a'"),
        ("try: x = 1\nexcept E: pass", "try: x = 1\nexcept F: pass"),
        ("def f(x):\n    return x\n    x", "def f(x):\n    return x"),
        ("def f(x): pass", "def f(x=None): pass"),
        ("def f(x): return x if y else y", "def f(y): return y if y else y"),
    ],
)
def test_programs_that_do_something_else_have_another_structure(first, second):
    assert structure_hash(first) != structure_hash(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("x = 'a'", 'y = "a"'),
        ("def f(x):\n    def g(y): return y\n    return g(x)", "def f(a):\n    def h(b): return b\n    return h(a)"),
        ("try:\n    a = 1\nexcept E as e:\n    raise e", "try:\n    b = 1\nexcept E as z:\n    raise z"),
        ("match x:\n    case [a, *b]: c = a, b", "match x:\n    case [p, *q]: r = p, q"),
        ("import math as m\nm.pi", "import math as n\nn.pi"),
        ("global x\nx = 1", "global y\ny = 1"),
    ],
)
def test_own_names_and_quotes_make_no_structure(first, second):
    assert structure_hash(first) == structure_hash(second)


def test_who_calls_a_function_knows_it_by_name():
    first, second = "def f(x): return x", "def g(x): return x"
    assert structure_hash(first) == structure_hash(second)
    assert structure_hash(first, keep_functions=True) != structure_hash(second, keep_functions=True)


def test_any_text_has_a_structure():
    for text in ("", "\0", "(" * 5000, "x = '\ud800'", "def f(:"):
        assert len(structure_hash(text)) == 64
