"""A token of `except:` is blamed, and no other."""

import pytest
from my_reward.bare_except import BareExcept

from rltf.types import Credit, FinishReason, Outcome, Program, Verdict

PASSED = Verdict(Outcome.PASSED, 1, 1)


def program(text):
    """Each line is a token."""
    ends = [i + 1 for i, letter in enumerate(text) if letter == "\n"]
    offsets = tuple(zip([0, *ends[:-1]], ends, strict=True))
    return Program("p", text, (), (1,) * len(ends), offsets, (), FinishReason.STOP)


def test_the_line_that_catches_everything_is_blamed():
    text = "try:\n    x = 1 / 0\nexcept:\n    x = 0\n"
    assert BareExcept(-0.5)(None, program(text), PASSED) == [Credit("bare_except", -0.5, (2, 3))]


def test_an_exception_that_is_named_is_not():
    assert BareExcept()(None, program("try:\n    pass\nexcept KeyError:\n    pass\n"), PASSED) == []


def test_a_reward_above_0_is_refused():
    with pytest.raises(ValueError, match="weight"):
        BareExcept(0.1)
