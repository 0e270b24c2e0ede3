"""What crosses the border of the sandbox arrives as it left, and nothing else crosses."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.execution.values.codec import CannotSend, Decoder, Encoder, decode, dumps, encode, loads

HASHABLE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters())
    | st.binary()
    | st.complex_numbers(allow_nan=False)
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.datetimes()
    | st.timedeltas(),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=8,
)
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


@given(VALUES)
def test_any_tagged_value_survives(value: Any) -> None:
    back = loads(dumps(value))
    assert back == value
    assert type(back) is type(value)


@given(st.integers(min_value=-(10**400), max_value=10**400))
def test_integers_of_any_size_survive(value: int) -> None:
    assert loads(dumps([value])) == [value]


@given(st.floats(allow_nan=False))
def test_floats_survive_bit_for_bit(value: float) -> None:
    back = loads(dumps(value))
    assert back == value
    assert math.copysign(1, back) == math.copysign(1, value)


def test_nan_and_infinity_survive() -> None:
    nan, inf = loads(dumps([float("nan"), float("-inf")]))
    assert math.isnan(nan)
    assert inf == -math.inf


class Colour(IntEnum):
    RED = 2


Point = namedtuple("Point", "x y")


class LyingInt(int):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


class HonestText(str):
    def __str__(self) -> str:
        return "another text"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Colour.RED, 2),
        (Point(1, [2]), (1, [2])),
        (HonestText("own"), "own"),
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(list, {1: [2]}), {1: [2]}),
    ],
)
def test_harmless_subclasses_are_sent_by_their_content(value: Any, plain: Any) -> None:
    back = loads(dumps(value))
    assert back == plain
    assert type(back) is type(plain)


@pytest.mark.parametrize("value", [LyingInt(3), object(), len, lambda: 0, iter([]), (x for x in ()), Exception("x")])
def test_what_has_no_content_of_its_own_is_refused(value: Any) -> None:
    with pytest.raises(CannotSend):
        dumps([value])


def test_lists_that_hold_themselves_and_explosions_are_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    wide: list[Any] = []
    for _ in range(60):
        wide = [wide, wide]
    for value in (loop, wide):
        with pytest.raises(CannotSend):
            dumps(value)


@pytest.mark.parametrize(
    "data",
    [
        {"eval": "1"},
        {"int": "0x1", "set": []},
        {},
        {"int": 5},
        {"set": [[1]]},
        {"complex": ["a", 1]},
        {"range": [1, 2, 0]},
        {"dict": [[1]]},
        {"bytes": "zz"},
        {"ref": 1},
        {"type": "object_"},
        {"decimal": "x"},
        {"fraction": [1, 0]},
        {"date": [0, 0, 0]},
    ],
)
def test_forged_data_raises_value_error_and_nothing_else(data: Any) -> None:
    with pytest.raises(ValueError):
        decode(data)


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.floats(),
        lambda i: (
            st.lists(i)
            | st.dictionaries(
                st.sampled_from(["int", "set", "dict", "tuple", "bytes", "range", "deque", "date", "type", "ref", "x"]),
                i,
                max_size=2,
            )
        ),
        max_leaves=10,
    )
)
def test_any_json_decodes_or_raises_value_error(data: Any) -> None:
    with suppress(ValueError):
        decode(data)


def test_library_values_keep_their_types() -> None:
    values = [Decimal("1.50"), Fraction(1, 3), date(2020, 1, 2), datetime(2020, 1, 2, 3), time(4), timedelta(5)]
    back = loads(dumps(values))
    assert back == values
    assert [type(v) for v in back] == [type(v) for v in values]
    assert str(back[0]) == "1.50"


def test_references_are_kept_apart_from_content() -> None:
    marker = object()
    sent = encode([1, marker], Encoder(lambda value: {"ref": 7}))
    assert sent == [1, {"ref": 7}]
    assert decode(sent, Decoder(lambda number: ("object", number))) == [1, ("object", 7)]
