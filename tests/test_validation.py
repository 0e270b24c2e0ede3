"""One sentence for a value that makes no sense, with the path that the user's config has."""

import math
import pickle

import pytest

from rltf.setup.instantiate import build
from rltf.validation import OptionError, require


@pytest.mark.parametrize(
    ("value", "rule", "expected"),
    [
        (0, {"at_least": 1, "whole": True}, "a whole number of at least 1"),
        (1.5, {"at_least": 1, "whole": True}, "a whole number of at least 1"),
        (True, {"at_least": 0}, "a number of at least 0"),
        ("fast", {"above": 0}, "a number above 0"),
        (math.inf, {"above": 0}, "a number above 0"),
        (math.nan, {}, "a finite number"),
        (2, {"above": 0, "at_most": 1}, "a number above 0 and at most 1"),
        (1, {"at_least": 0, "below": 1}, "a number of at least 0 and below 1"),
        (-1, {"above": 0, "optional": True}, "null or a number above 0"),
        ("mean", {"choices": ("sum", "max")}, "sum or max"),
        (True, {"choices": (0, 1)}, "0 or 1"),
        ("x", {"choices": ("a", "b", "c"), "optional": True}, "a, b, c or null"),
    ],
)
def test_a_wrong_value_says_what_was_expected(value, rule, expected):
    with pytest.raises(OptionError) as caught:
        require("key", value, **rule)
    assert str(caught.value) == f"key is {value!r}: expected {expected}"


@pytest.mark.parametrize(
    ("value", "rule"),
    [(1, {"at_least": 1, "whole": True}), (None, {"optional": True}), (0.5, {"above": 0, "at_most": 1}), (-2.5, {})],
)
def test_a_right_value_passes(value, rule):
    require("key", value, **rule)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "algorithm.mix.rl.objective.eps_low=-1",
            "algorithm.mix.rl.objective.eps_low is -1: expected a number of at least 0 and at most 1",
        ),
        (
            "algorithm.mix.rl.weight=0",
            "algorithm.mix.rl.weight is 0: expected a number above 0 (null as a term drops it)",
        ),
    ],
)
def test_a_nested_option_has_the_users_path(composed, override, sentence):
    cfg = composed("train", "algorithm=grpo", override)
    with pytest.raises(ValueError, match="expected") as caught:
        build(cfg, "algorithm.mix")
    assert str(caught.value) == sentence


def test_the_error_survives_a_process_border():
    error = pickle.loads(pickle.dumps(OptionError("lag", 2, "0 or 1").below("rollouts")))
    assert str(error) == "rollouts.lag is 2: expected 0 or 1"
