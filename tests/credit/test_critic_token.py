"""What tokens weigh by what an outcome critic says of them."""

import pytest
from critic_cases import rollout_of

from rltf.credit.critic_token import CriticTokenCredit
from rltf.types import Credit, CriticPrediction

READING = CriticPrediction((0.5, 1.0, 0.25), (0.1, 0.2, 0.3, 0.4))


@pytest.mark.parametrize(
    ("spans", "weights"),
    [
        ("weighed", (0.5, 1.7, 0.425)),  # q (A + span): the official code's default
        ("plain", (0.5, 1.7, 0.95)),  # q A + span
    ],
)
def test_both_of_the_official_codes_ways_to_weigh_spans(spans, weights):
    rollout = rollout_of([1, 2, 3], reward=1.0, credits=[Credit("fine", 0.7, (1, 3))], critic=READING)
    assert CriticTokenCredit(spans)([rollout])[0].weights == pytest.approx(weights)


def test_an_unknown_way_to_weigh_spans_is_refused():
    with pytest.raises(ValueError, match=r"^spans is 'both': expected weighed or plain"):
        CriticTokenCredit("both")
