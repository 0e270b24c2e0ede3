"""What crosses the border of the sandbox arrives as it left, and nothing else crosses."""

from __future__ import annotations

import json
import math
from collections import Counter, OrderedDict, defaultdict, namedtuple
from contextlib import suppress
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import LIBRARY_VALUES, MESSAGES, VALUES

from rltf.execution.values.arguments import ReceivedContainers, take_changes
from rltf.execution.values.bounds import MAX_DEPTH
from rltf.execution.values.codec import CannotSend, Decoder, Encoder, decode, dumps, encode, loads


@given(VALUES)
def test_any_tagged_value_survives(value: Any) -> None:
    back = loads(dumps(value))
    assert back == value
    assert type(back) is type(value)


@given(LIBRARY_VALUES)
def test_any_value_of_the_library_survives_among_test_text(value: Any) -> None:
    back = decode(json.loads(json.dumps(encode(value, Encoder(rich=True)))))
    assert back == value
    assert type(back) is type(value)


def test_two_surrogates_are_not_the_character_that_they_make_in_utf_16() -> None:
    assert loads(dumps("\ud83d\ude00")) == "\ud83d\ude00" != "\U0001f600"


def test_an_aware_time_stays_aware() -> None:
    aware = datetime(2020, 1, 1, tzinfo=timezone(timedelta(hours=2), "here"))
    assert loads(dumps(aware)) == aware
    assert loads(dumps(aware)).tzname() == "here"
    assert loads(dumps(aware)) != datetime(2020, 1, 1)


@pytest.mark.parametrize("levels", [1, 150, 399])
def test_values_may_be_nested_as_deep_as_promised(levels: int) -> None:
    nested: Any = 1
    for level in range(levels):
        nested = [nested] if level % 2 else {level: nested}
    assert loads(dumps(nested)) == nested
    for _ in range(levels, MAX_DEPTH + 1):
        nested = (nested,)
    with pytest.raises(CannotSend, match="deeper than 400"):
        dumps(nested)


def test_containers_that_the_other_side_has_are_sent_by_number() -> None:
    inner = [1]
    arguments: Any = [inner, {"a": inner}]
    sent: list[Any] = []
    encoded = Encoder(shared=sent, number_new=True).encode(arguments)
    received: list[Any] = []
    there = Decoder(shared=received, number_new=True).decode(encoded)
    assert there[1]["a"] is there[0]
    containers = ReceivedContainers(received)
    there[0].append(2)
    encoder = Encoder(shared=received)
    assert encode([there[0], [3]], encoder) == [{"shared": 1}, [3]]
    take_changes(containers.changes(encoder), sent, Decoder(shared=sent))
    assert arguments == [[1, 2], {"a": [1, 2]}]
    assert arguments[0] is inner


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
        {"dict": [1]},
        {"bytes": "zz"},
        {"ref": 1},
        {"type": "object_"},
        {"decimal": "x"},
        {"fraction": [1, 0]},
        {"fraction": [1, {"int": "0x1" + "0" * 10_000}]},
        {"decimal": "sNaN"},
        {"tuple": {"range": [0, 10**12, 1]}},
        {"set": {"range": [0, 10**9, 1]}},
        {"deque": [{"range": [0, 10**12, 1]}, 5]},
        {"set": [i * (2**61 - 1) for i in range(20_000)]},
        {"dict": [x for i in range(20_000) for x in (i * (2**61 - 1), 0)]},
        {"frozenset": [{"tuple": [i * (2**61 - 1)]} for i in range(200)]},
        {"shared": 0},
        {"ndarray": ["<U999999", [1000], ["x"] * 1000]},
        {"ndarray": ["<i8", [10**6, 10**6], []]},
        {"namedtuple": ["P", ["class"], [1]]},
        {"datetime": ["AAAAAAAAAA"]},
        {"date": [0, 0, 0]},
    ],
)
def test_forged_data_raises_value_error_and_nothing_else(data: Any) -> None:
    with pytest.raises(ValueError):
        decode(data)


@given(MESSAGES)
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
