"""Which values a program says that it computes, and where."""

from __future__ import annotations

import ast

import pytest
from traces import row, rows, traced_program

from rltf.execution.inside.sites import SITES, Kind, insert_records
from rltf.execution.inside.trace import Trace
from rltf.execution.judge.traced_program import LARGEST_PARSED, TracedProgram

VALUE, RETURN, ENTRY, ROUND = Kind.VALUE, Kind.RETURN, Kind.ENTRY, Kind.ROUND
IF, WHILE, END, STATEMENT = Kind.IF.name, Kind.WHILE.name, Kind.END.name, Kind.STATEMENT.name


def test_a_loop_says_each_round_and_its_end(monkeypatch):
    text = "def f(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s\n"
    assert rows(traced_program(monkeypatch, text, [3, 4])) == [
        row(ENTRY, 1, [3, 4]),
        row(VALUE, 2, 0),
        row(ROUND, 3, 3),
        row(VALUE, 4, 3),
        row(ROUND, 3, 4),
        row(VALUE, 4, 7),
        (END, 3, 0),
        row(RETURN, 5, 7),
    ]


def test_conditions_say_whether_they_held(monkeypatch):
    text = "def f(n):\n    while n > 1:\n        if n % 2:\n            return -n\n        n //= 2\n"
    assert rows(traced_program(monkeypatch, text, 6)) == [
        row(ENTRY, 1, 6),
        (WHILE, 2, 1),
        (IF, 3, 0),
        row(VALUE, 5, 3),
        (WHILE, 2, 1),
        (IF, 3, 1),
        row(RETURN, 4, -3),
    ]


def test_a_loop_that_is_left_says_no_end_and_one_over_nothing_does(monkeypatch):
    text = "def f():\n    for i in [1]:\n        break\n    for i in []:\n        pass\n    else:\n        i = 9\n"
    assert rows(traced_program(monkeypatch, text)) == [
        *(row(ROUND, 2, 1), (END, 4, 0), row(VALUE, 7, 9)),
        row(RETURN, 4, None),
    ]


def test_each_name_of_a_target_has_its_value_and_other_targets_what_was_assigned(monkeypatch):
    text = "def f(d):\n    a, (b, *c) = 1, (2, 3)\n    x = y = a\n    d['k'] = d['l'] = 7\n    d['k'] += 1\n"
    text += "    z: int = 5\n"
    assert rows(traced_program(monkeypatch, text, {})) == [
        row(ENTRY, 1, {}),
        *(row(VALUE, 2, 1), row(VALUE, 2, 2), row(VALUE, 2, [3])),
        *(row(VALUE, 3, 1), row(VALUE, 3, 1)),
        row(VALUE, 4, 7),
        *[row(VALUE, 4, {"k": 7, "l": 7})] * 2,
        *(row(VALUE, 5, 8), row(VALUE, 5, {"k": 8, "l": 7})),
        *(row(VALUE, 6, 5), row(RETURN, 6, None)),
    ]


def test_a_call_says_the_containers_that_it_may_have_changed(monkeypatch):
    text = "def f(xs, n):\n    xs.append(n)\n    [xs][0].sort()\n    g(xs, n)\n    print(xs, end='')\n"
    text += "\ndef g(ys, n):\n    ys[0] = n\n"
    assert rows(traced_program(monkeypatch, text, [2], 1)) == [
        *(row(ENTRY, 1, [2]), row(ENTRY, 1, 1)),
        *(row(VALUE, 2, [2, 1]), (STATEMENT, 2, 0)),
        (STATEMENT, 3, 0),
        *(row(ENTRY, 7, [1, 2]), row(ENTRY, 7, 1), row(VALUE, 8, 1), row(VALUE, 8, [1, 2]), row(RETURN, 8, None)),
        *(row(VALUE, 4, [1, 2]), (STATEMENT, 4, 0)),
        *((STATEMENT, 5, 0), row(RETURN, 5, None)),
    ]


def test_values_without_a_hash_are_not_said(monkeypatch):
    text = "class A:\n    pass\n\ndef f():\n    a = A()\n    a.size = 3\n    g = lambda: a\n    return g()\n"
    assert rows(traced_program(monkeypatch, text)) == [row(VALUE, 6, 3)]


def test_yields_and_bare_returns_are_returns(monkeypatch):
    text = "def f():\n    return [*g()]\n\ndef g():\n    '''Two.'''\n    yield 1\n    yield 2\n    return\n"
    assert rows(traced_program(monkeypatch, text)) == [
        *(row(RETURN, 6, 1), row(RETURN, 7, 2), row(RETURN, 8, None)),
        row(RETURN, 2, [1, 2]),
    ]


def test_a_program_does_with_its_records_what_it_did_without(monkeypatch):
    text = '''
"""Module."""
from __future__ import annotations
import contextlib

total = 0

class Box:
    """Box."""
    size: int = 2
    def __init__(self, x: Undefined) -> None:
        """Makes one."""
        self.items = [x]
        self.items[0] += 1

def f(x):
    """Doc."""
    global total
    box = Box(x)
    def inner():
        nonlocal x
        x += 1
        return x
    with contextlib.suppress(ZeroDivisionError):
        total = 1 / 0
    try:
        total = inner()
    except ValueError:
        total = -1
    else:
        total += 1
    finally:
        total += box.items[0]
    match total:
        case 9:
            y = (z := total) + 1
        case _:
            y = 0
    return f.__doc__, Box.__doc__, Box.__init__.__doc__, y, total, [i for i in range(2)]
'''
    namespace: dict[str, object] = {"__name__": "program"}
    exec(text, namespace)
    expected = namespace["f"](3)  # type: ignore[operator]
    assert expected == ("Doc.", "Box.", "Makes one.", 10, 9, [0, 1])
    assert rows(traced_program(monkeypatch, text, 3))[-1] == row(RETURN, 39, expected)


def test_long_chains_and_deep_blocks_are_recorded(monkeypatch):
    chain = "".join(f"    elif x == {n}:\n        return {n}\n" for n in range(1, 600))
    program = traced_program(monkeypatch, f"def f(x):\n    if x == 0:\n        return 0\n{chain}", 2)
    assert rows(program) == [row(ENTRY, 1, 2), (IF, 2, 0), (IF, 4, 0), (IF, 6, 1), row(RETURN, 7, 2)]
    deep = "def f(x):\n" + "".join(" " * n + "if x:\n" for n in range(1, 20)) + " " * 20 + "return x\n"
    assert rows(traced_program(monkeypatch, deep, 1))[-1] == row(RETURN, 21, 1)


def test_sites_have_an_end():
    text = "x = 1\n" * (SITES + 5)
    assert len(insert_records(ast.parse(text))) == SITES


@pytest.mark.parametrize(
    ("text", "events"),
    [("x = 1\n", ((2, 7),)), ("x = (\n", ((1, 7),)), ("x = 1\n" + "#" * LARGEST_PARSED, ((1, 7),)), ("", ())],
)
def test_a_trace_that_does_not_fit_its_program_is_none(text, events):
    assert TracedProgram(text, Trace(events, False)).events == []
