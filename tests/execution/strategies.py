"""What hypothesis makes for the tests of the judge: values, messages that a program may forge, texts of tests."""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict, deque
from datetime import timedelta, timezone
from pathlib import PurePosixPath
from typing import Any

from hypothesis import strategies as st

_ZONES = st.none() | st.integers(-86_399, 86_399).map(lambda seconds: timezone(timedelta(seconds=seconds)))
HASHABLE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.datetimes(timezones=_ZONES)
    | st.timedeltas(),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=8,
)
"""Plain values that can be keys."""
VALUES = st.recursive(
    HASHABLE,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.sets(HASHABLE, max_size=4)
        | st.builds(deque, st.lists(inner, max_size=3))
        | st.tuples(inner)
    ),
    max_leaves=20,
)
"""Plain values, all of which cross the border and come back equal."""
LIBRARY_VALUES = (
    st.lists(HASHABLE, max_size=5).map(Counter)
    | st.dictionaries(HASHABLE, VALUES, max_size=3).map(OrderedDict)
    | st.lists(st.integers(-100, 100)).map(lambda numbers: array("b", numbers))
    | st.uuids()
    | st.lists(st.sampled_from("abc"), max_size=3).map(lambda parts: PurePosixPath("/".join(parts)))
    | st.slices(9)
)
"""Values that keep their type among test text."""

_TAGS = st.sampled_from(
    (
        *(
            "int",
            "str",
            "dict",
            "tuple",
            "set",
            "frozenset",
            "bytes",
            "bytearray",
            "complex",
            "deque",
            "range",
            "slice",
        ),
        *("ellipsis", "type", "shared", "ref", "decimal", "fraction", "date", "datetime", "time", "timedelta", "x"),
        *("Counter", "OrderedDict", "defaultdict", "array", "StringIO", "BytesIO", "keys", "values", "items"),
        *("namedtuple", "ndarray", "uuid", "path"),
    )
)
_ATOMS = (
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    st.sampled_from(("0x10", "sNaN", "1e10000000", 10**12, 2**61 - 1, "int", "<i8", "i", "PosixPath", "UTC", -1, "zz")),
)
MESSAGES = st.recursive(
    st.one_of(*_ATOMS),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(_TAGS, inner, min_size=1, max_size=2),
    max_leaves=12,
)
"""JSON as a program may forge it in the place of an encoded value."""
_REFERENCES = st.tuples(
    st.integers(-1, 5) | st.just("yours"),
    st.sampled_from(("object", "function", "class", "iterator", "coroutine", "method", "member", "exception", "other"))
    | st.integers(0, 3),
    MESSAGES | st.integers(0, 3) | st.tuples(st.integers(0, 3), st.text(max_size=3)).map(list),
).map(lambda reference: {"ref": list(reference)})
_ROWS = st.tuples(
    *(st.integers(0, 3), st.text(max_size=3), st.none(), st.lists(st.integers(0, 3), max_size=2)),
    st.lists(st.sampled_from(("ValueError", "int", "x")), max_size=2),
    st.lists(st.sampled_from(("__add__", "__len__", "__call__", "__x__")), max_size=2),
    *(st.none() | st.text(max_size=2), st.booleans(), st.booleans(), st.lists(st.text(max_size=3), max_size=2)),
    st.none() | st.tuples(st.sampled_from(("Enum", "IntEnum", "x")), st.just([["A", 1]])).map(list),
).map(list)
ANSWERS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "value": MESSAGES | _REFERENCES | st.lists(_REFERENCES, max_size=2),
        "changed": MESSAGES | st.lists(st.tuples(st.integers(-1, 2), MESSAGES).map(list), max_size=2),
        "objects": MESSAGES | st.lists(MESSAGES, max_size=2),
        "classes": MESSAGES | st.lists(_ROWS, max_size=3),
        "error": MESSAGES | st.fixed_dictionaries({"type": MESSAGES, "exception": MESSAGES | st.just([0, "class", 0])}),
        "unsendable": MESSAGES,
        "callback": MESSAGES | st.tuples(st.integers(-1, 2), st.sampled_from(("call", "next", "get"))).map(list),
        "args": MESSAGES,
        "names": MESSAGES,
    },
)
"""Answers to a request as a program may forge them."""

TEXT_PROGRAM = """
CONST = [1, 2]
class V:
    def __init__(self, x): self.x = x
    def __add__(self, o): return V(self.x + o.x)
    def __eq__(self, o): return True
    def __lt__(self, o): return self.x < o.x
    def __iter__(self): return iter(range(self.x))
    def __hash__(self): return 1
class E(ValueError): pass
def f(x=None): return x
def g(n): yield from range(n)
def h(x): raise E(x)
def apply(function, *args): return function(*args)
async def co(x): return x
"""
"""A program for `TEXTS`."""
_LEAVES = st.sampled_from(
    (
        *("CONST", "V(2)", "E('a')", "f", "V", "E", "g(3)", "f()", "1", "'a'", "[1, [2]]", "{1: 2}", "len", "co(1)"),
        *("missing", "(lambda *a: a)", "iter([1])", "None", "object()", "f.__doc__", "V(1).x", "V(1).zz"),
        *("(kept := g(2))", "float('nan')"),
    )
)
EXPRESSIONS = st.recursive(
    _LEAVES,
    lambda inner: (
        st.tuples(inner, st.sampled_from(("+", "-", "==", "<", "in", "is", "and", "!=", "*")), inner).map(
            lambda parts: f"({' '.join(parts)})"
        )
        | st.tuples(
            st.sampled_from(
                ("f", "apply", "V", "h", "list", "sorted", "str", "len", "set", "next", "isinstance", "type")
            ),
            st.lists(inner, min_size=1, max_size=2),
        ).map(lambda call: f"{call[0]}({', '.join(call[1])})")
        | inner.map(lambda text: f"[{text} for _ in range(2)]")
        | inner.map(lambda text: f"({text})[0]")
        | inner.map(lambda text: f"({text}).x")
    ),
    max_leaves=6,
)
"""Expressions over `TEXT_PROGRAM`."""
TEXTS = EXPRESSIONS.map(lambda text: f"assert {text}") | st.tuples(EXPRESSIONS, EXPRESSIONS).map(
    lambda texts: f"try:\n    {texts[0]}\nexcept E:\n    pass\nassert {texts[1]}"
)
"""Texts of `assert` tests over `TEXT_PROGRAM`."""
