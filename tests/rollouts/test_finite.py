"""Numbers of tokens that are not finite are refused before they are trained on."""

import math
from dataclasses import replace

import pytest
from judged_programs import PASSED, WRONG, pending, pipeline_of

from rltf.types import CriticPrediction


class Diverged:
    """A critic that has diverged on the program of draw 1."""

    kind = "outcome"

    def add_predictions(self, rollouts):
        return [replace(r, critic=CriticPrediction((math.nan if r.program.draw == 1 else 0.5,))) for r in rollouts]


class Infinite:
    """A credit that divides by zero on the program of draw 0."""

    needs_coverage, needs_reference, critic_kind = False, False, None

    def __call__(self, rollouts):
        return [replace(r, weights=(math.inf if r.program.draw == 0 else 1.0,)) for r in rollouts]


def test_a_critic_that_diverged_is_named_with_the_program():
    with pytest.raises(ValueError, match=r"^critic predicts token 0 of the program of draw 1 of a by nan: expected"):
        pipeline_of(critic=Diverged()).collect_rollouts(pending([PASSED, WRONG]))


def test_an_infinite_weight_of_a_token_is_named_with_the_program():
    with pytest.raises(ValueError, match=r"^credit weighs token 0 of the program of draw 0 of a by inf: expected"):
        pipeline_of(credit=Infinite()).collect_rollouts(pending([PASSED, WRONG]))
