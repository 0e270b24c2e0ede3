"""Printed answers are compared as competitive judges do, values by content."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.execution.grader.compare import same_value
from rltf.execution.judge.compare import same_output


@pytest.mark.parametrize(
    ("printed", "expected", "right"),
    [
        ("1\n", "1", True),
        ("1 2  \n3\n\n", "1 2\n3", True),
        ("1\n2", "1 2", True),
        ("1 2", "1 2 3", False),
        ("1 2 3", "1 2", False),
        ("2 1", "1 2", False),
        ("1 1 2", "1 2", False),
        ("", "", True),
        ("", "0", False),
        ("0.30000000000000004", "0.3", True),
        ("0.300002", "0.3", False),
        ("1000000.5", "1000000.0", True),  # 5e-7 relative
        ("1000002.0", "1000000.0", False),  # 2e-6 relative
        ("3", "3.0", True),
        ("3.0", "3", False),
        ("1e-7", "0.0", True),
        ("nan", "0.0", False),
        ("inf", "1e308", False),
        ("1_0.0", "10.0", False),
        ("٣.0", "3.0", False),
        ("yes", "YES", False),
        ("3.0a", "3.0", False),
    ],
)
def test_output_is_compared_token_by_token(printed: str, expected: str, right: bool) -> None:
    assert same_output(printed, expected) is right


@given(st.lists(st.integers() | st.text("abc xyz", min_size=1)))
def test_an_output_equals_itself_with_blanks_at_the_end(tokens: list[object]) -> None:
    text = "\n".join(map(str, tokens))
    assert same_output(text + " \n\n", text)


@given(st.lists(st.integers(0, 9), min_size=2, unique=True))
def test_order_counts(numbers: list[int]) -> None:
    assert not same_output(" ".join(map(str, reversed(numbers))), " ".join(map(str, numbers)))


@pytest.mark.parametrize(
    ("value", "expected", "right"),
    [
        ((1, (2, 3)), [1, [2, 3]], True),  # JSON has no tuples: a list stands for either
        ([1, 2], (1, 2), False),  # an expected tuple was meant
        ([1, 2], [1, 2, 3], False),
        ({"a": (1,)}, {"a": [1]}, True),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        ({1, 2}, {2, 1}, True),
        (1, 1.0, True),
        (True, 1, True),
        ("1", 1, False),
        (None, 0, False),
        (0.1 + 0.2, 0.3, False),
    ],
)
def test_values_are_compared_by_python_equality(value: object, expected: object, right: bool) -> None:
    assert same_value(value, expected) is right
