"""Moving average of weights."""

import pytest
import torch

from rltf.algorithms.target import TargetNetwork


def moved(rate, steps=1):
    target = torch.zeros(2)
    for _ in range(steps):
        TargetNetwork(rate).move([target], [torch.ones(2)])
    return target.tolist()


def test_a_rate_of_one_copies_and_a_hundred_steps_of_a_hundredth_go_0634_of_the_way():
    assert moved(1) == [1.0, 1.0]
    assert moved(0.01, steps=100) == pytest.approx([1 - 0.99**100] * 2, abs=1e-6)  # 0.633968


def test_the_policy_is_left_as_it_is():
    policy = torch.nn.Parameter(torch.ones(1))
    target = torch.zeros(1)
    TargetNetwork(0.25).move([target], [policy])
    assert (target.item(), policy.item(), target.requires_grad) == (0.25, 1.0, False)


@pytest.mark.parametrize("rate", [0, -0.1, 1.5])
def test_a_rate_outside_its_range_is_one_sentence(rate):
    with pytest.raises(ValueError, match=f"^rate is {rate}: expected a number above 0 and at most 1$"):
        TargetNetwork(rate)
