"""At which statement a program parts from its reference, on traces that are worked out by hand.

Each program stands beside its reference; `# here` stands on the line that diverges.
"""

from __future__ import annotations

import pytest
from traces import row, rows, traced_program

from rltf.execution.inside.sites import Kind
from rltf.execution.inside.trace import Trace
from rltf.execution.judge.alignment import WINDOW, Alignment, partners_of
from rltf.execution.judge.diverging_line import diverging_site
from rltf.execution.judge.traced_program import TracedProgram

SUM = """
def f(xs):
    s = 0
    for x in xs:
        s += x
    return s
"""
SIGN = """
def f(xs):
    if xs[0] > 3:
        r = 1
    else:
        r = 2
    return r
"""
PARTS = """
def double(x):
    return 2 * x
def f(xs):
    a = double(xs[0])
    b = double(xs[1])
    return a + b
"""

PROGRAMS = {
    # s: 0, 3, 7, then the end of the loop where the reference has its third round
    "one round less": (SUM, "def f(xs):\n    s = 0\n    for x in xs[:-1]:  # here\n        s += x\n    return s\n"),
    "one round more": (SUM, "def f(xs):\n    s = 0\n    for x in xs + xs[:1]:  # here\n        s += x\n    return s\n"),
    # the condition holds for 3 and 3 > 3 does not
    "a wrong branch": (
        SIGN,
        "def f(xs):\n    if xs[0] >= 3:  # here\n        r = 1\n    else:\n        r = 2\n    return r\n",
    ),
    "a right branch with a wrong value": (
        SIGN,
        "def f(xs):\n    if xs[0] > 3:\n        r = 1\n    else:\n        r = 3  # here\n    return r\n",
    ),
    # 0, 3, 7, 12 on both sides; 13 is returned for 12
    "a wrong constant in the last line": (
        SUM,
        "def f(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s + 1  # here\n",
    ),
    "a wrong beginning": (SUM, "def f(xs):\n    s = 1  # here\n    for x in xs:\n        s += x\n    return s\n"),
    "a wrong operation": (SUM, "def f(xs):\n    s = 0\n    for x in xs:\n        s -= x  # here\n    return s\n"),
    "a wrong value that is used late": (
        "def f(xs):\n    a = xs[0]\n    b = len(xs)\n    return a * b\n",
        "def f(xs):\n    a = xs[1]  # here\n    b = len(xs)\n    return a * b\n",
    ),
    "a result that is printed": (
        SUM,
        "def f(xs):\n    s = 0\n    for x in xs:\n        s += x\n    print(s)  # here\n",
    ),
    "a result that is dropped": (SUM, "def f(xs):\n    s = 0\n    for x in xs:\n        s += x\n    s + 0  # here\n"),
    "a return inside the loop": (
        SUM,
        "def f(xs):\n    s = 0\n    for x in xs:\n        s += x\n        return s  # here\n",
    ),
    # the parameter of `double` is 5 for 4, and what it returns is right for that
    "a function that is called with a wrong value": (
        PARTS,
        "def double(x):\n    return 2 * x\ndef f(xs):\n    a = double(xs[0])\n    b = double(xs[2])  # here\n"
        "    return a + b\n",
    ),
    "a function that is wrong": (
        PARTS,
        "def double(x):\n    return 3 * x  # here\ndef f(xs):\n    a = double(xs[0])\n    b = double(xs[1])\n"
        "    return a + b\n",
    ),
    "a recursive call with a wrong value": (
        "def f(xs):\n    if len(xs) < 2:\n        return 0\n    return 1 + f(xs[1:])\n",
        "def f(xs):\n    if len(xs) < 2:\n        return 0\n    return 1 + f(xs[2:])  # here\n",
    ),
    # i is 0 for x = 3, and s is right all the same
    "an index for an item, then a wrong value": (
        SUM,
        "def f(xs):\n    s = 0\n    for i in range(len(xs)):\n        s += xs[i]\n    return s + 1  # here\n",
    ),
    "other statements, then a wrong value": (
        SUM,
        "def f(xs):\n    s = 0\n    i = 0\n    while i < len(xs):\n        y = xs[i]\n        s = s + y\n"
        "        i += 1\n    return s * 2  # here\n",
    ),
    "other statements around a wrong value": (
        SUM,
        "def f(xs):\n    s = 0\n    i = 0\n    while i < len(xs):\n        y = xs[i]\n        s = s * y  # here\n"
        "        i += 1\n    return s\n",
    ),
    "other statements and one round less": (
        SUM,
        "def f(xs):\n    y = 1\n    s = 0\n    for x in xs[:-1]:  # here\n        s = s + x\n    return s\n",
    ),
    "one line for many": (SUM, "def f(xs):\n    return sum(xs) + 1  # here\n"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_diverging_line_of_known_programs(monkeypatch, name):
    reference, program = (traced_program(monkeypatch, text.lstrip("\n"), [3, 4, 5]) for text in PROGRAMS[name])
    site = diverging_site(program, reference, None)
    [expected] = [n for n, line in enumerate(program._text.split("\n"), start=1) if "# here" in line]
    assert site is not None
    assert site.line == expected


def test_the_traces_of_a_loop_of_one_round_less_side_by_side(monkeypatch):
    reference, program = PROGRAMS["one round less"]
    text = reference.lstrip("\n")
    both = [rows(traced_program(monkeypatch, t, [3, 4])) for t in (text, program)]
    shared = [
        *(row(Kind.ENTRY, 1, [3, 4]), row(Kind.VALUE, 2, 0)),
        *(row(Kind.ROUND, 3, 3), row(Kind.VALUE, 4, 3)),
    ]
    assert both[0] == [*shared, row(Kind.ROUND, 3, 4), row(Kind.VALUE, 4, 7), ("END", 3, 0), row(Kind.RETURN, 5, 7)]
    assert both[1] == [*shared, ("END", 3, 0), row(Kind.RETURN, 5, 3)]


def test_another_algorithm_has_no_diverging_line(monkeypatch):
    product = "def f(xs):\n    p = 1\n    for x in xs:\n        p *= x\n    q = p + 1\n    return q\n"
    pairs = "def f(xs):\n    ys = sorted(xs)\n    z = ys[1]\n    while z > 1:\n        z -= 2\n    return z\n"
    program, reference = (traced_program(monkeypatch, text, [3, 4, 5]) for text in (pairs, product))
    assert diverging_site(program, reference, None) is None


def test_equal_values_and_a_wrong_answer_leave_the_last_line(monkeypatch):
    program = traced_program(monkeypatch, SUM, [3, 4, 5])
    site = diverging_site(program, traced_program(monkeypatch, SUM, [3, 4, 5]), None)
    assert site is not None
    assert site.line == 6


def test_behind_the_end_of_a_trace_that_was_cut_nothing_is_told(monkeypatch):
    text, wrong = SUM.lstrip("\n"), SUM.lstrip("\n").replace("return s", "return s + 1")
    whole, program = (traced_program(monkeypatch, t, [3, 4, 5]) for t in (text, wrong))
    cut = TracedProgram(text, Trace(whole.trace.events[:5], True))
    assert diverging_site(program, cut, None) is None
    assert diverging_site(TracedProgram(wrong, Trace(program.trace.events[:5], True)), whole, None) is None
    other = traced_program(monkeypatch, wrong.replace("s = 0", "s = 0\n    y = 1"), [3, 4, 5])
    assert diverging_site(other, cut, None) is None
    early = traced_program(monkeypatch, text.replace("s = 0", "s = 1"), [3, 4, 5])
    site = diverging_site(early, cut, None)
    assert site is not None
    assert site.line == 2


@pytest.mark.parametrize("events", [(), ((99, 1),), ((1, 5),) * 3000, tuple((n % 8 + 1, n) for n in range(2048))])
def test_whatever_stands_in_a_trace_a_line_of_the_program_comes_out_or_none(monkeypatch, events):
    reference = traced_program(monkeypatch, SUM.lstrip("\n"), [3, 4, 5])
    for text in (reference._text, "def f(xs):\n    a = b = c = 1\n    d = e = 2\n    return sum(xs)\n"):
        site = diverging_site(TracedProgram(text, Trace(events, False)), reference, None)
        assert site is None or 1 <= site.line <= site.end_line <= text.count("\n")


def test_partners_are_those_of_the_fewest_edits():
    assert partners_of("abc", "abc", True) == [0, 1, 2]
    assert partners_of("axc", "abc", True) == [0, 1, 2]
    assert partners_of("acd", "abcd", True) == [0, 2, 3]
    assert partners_of("ac", "abcd", True) == [0, None]  # one edit, as with the partner 2, and nothing is passed by
    assert partners_of("abc", "ac", True) == [0, None, 1]
    assert partners_of("a", "abc", True) == [0]
    assert partners_of("", "abc", True) == []
    assert partners_of("abc", "", True) == [None, None, None]
    assert partners_of("abcd", "ab", False) == [0, 1, None, None]


def test_long_sequences_are_aligned_window_by_window():
    others = [n for n in range(1000) if n % 50]
    alignment = Alignment(range(1000), others)
    assert len(others) > 9 * WINDOW
    partners = [alignment.partner(n) for n in range(1000)]
    assert [None if partner is None else others[partner] for partner in partners] == [
        n if n % 50 else None for n in range(1000)
    ]
    behind = Alignment(range(30), range(10))
    assert [behind.is_behind_the_end(n) for n in (0, 9, 10, 29)] == [False, False, True, True]
