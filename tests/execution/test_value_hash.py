"""Values that a test takes for the same have the same hash, others have another one."""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.execution.inside.value_hash import NODES, value_hash


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (1, True),
        (2, 2.0),
        (-0.0, 0),
        (0.1 + 0.2, 0.3),
        ([1, (2, 3)], (1, [2, 3])),
        (deque([1]), [1]),
        ({1, 2, 3}, frozenset({3, 2, 1})),
        ({"a": 1, "b": 2}, OrderedDict(b=2, a=1)),
        (Counter("aab"), {"a": 2, "b": 1}),
        (defaultdict(int, x=1), {"x": 1}),
        (bytearray(b"ab"), b"ab"),
        (1 << 5000, (1 << 5000) + 0),
    ],
)
def test_equal_values(value, other):
    assert value_hash(value)[0] == value_hash(other)[0] != 0


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (1, 2),
        (1, "1"),
        ("1", b"1"),
        (None, 0),
        ([], {}),
        ([[1], 2], [[1, 2]]),
        ("ab", ["a", "b"]),
        (0.1, 0.1001),
        (float("inf"), float("nan")),
        ({1: 2}, {2: 1}),
        ({1, 2}, [1, 2]),
        (1 << 5000, 1 << 5001),
        (-(1 << 5000), 1 << 5000),
        (range(3), range(4)),
        (Decimal("1.5"), Fraction(3, 2)),
        ("x" * 5000, "x" * 5001),
    ],
)
def test_other_values(value, other):
    assert value_hash(value)[0] != value_hash(other)[0]


class Liar(int):
    def __repr__(self):
        raise AssertionError("code of the program ran")

    __eq__ = __hash__ = __iter__ = __len__ = bit_length = __index__ = __repr__


def test_no_code_of_the_program_runs_and_what_is_unknown_has_no_hash():
    for value in [Liar(1), object(), len, iter([]), type, (i for i in "a"), lambda: 0]:
        assert value_hash(value) == (0, 1)
        assert value_hash([value, 1])[0] == value_hash([object(), 1])[0] != 0


nested = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
)


@given(nested)
def test_any_plain_value_has_one_hash_of_64_bits(value):
    number, parts = value_hash(value)
    assert 0 < number < 1 << 64
    assert (number, parts) == value_hash(value)
    assert 0 < parts <= NODES + 1


def test_large_values_take_little_time_and_tell_their_first_parts_and_their_length():
    cycle: list[object] = []
    cycle.append(cycle)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    values = [list(range(10**6)), "x" * 10**7, {i: i for i in range(10**5)}, set(range(10**5)), 1 << 10**7, deep]
    start = time.process_time()
    assert value_hash(cycle)[0] != 0
    hashes = [value_hash(value) for value in values]
    assert time.process_time() - start < 0.5
    assert all(number and parts <= NODES + 1 for number, parts in hashes)
    longer = list(range(10**6 + 1))
    assert value_hash(longer)[0] != hashes[0][0]
    assert value_hash([9, *range(1, 10**6)])[0] != hashes[0][0]
    while deep:
        deep = deep.pop()  # lest its end recurse
