"""Problems of several benchmarks by weights."""

import pytest

from rltf.rollouts.weighted_order import WeightedOrder


def test_each_part_has_its_share_at_every_point():
    order = WeightedOrder([(50, 1.0), (50, 3.0)], seed=0)
    visits = order.next_indices(40)
    for count in range(1, 41):
        of_first = sum(index < 50 for index in visits[:count])
        assert abs(of_first - count / 4) < 1
    assert sum(index < 50 for index in visits) == 10


def test_a_part_visits_all_of_its_problems_before_one_comes_again():
    order = WeightedOrder([(3, 1.0), (4, 2.0)], seed=1)
    visits = [index for _ in range(6) for index in order.next_indices(3)]  # 6 of the first part, 12 of the second
    first = [index for index in visits if index < 3]
    second = [index for index in visits if index >= 3]
    assert sorted(first[:3]) == sorted(first[3:]) == [0, 1, 2]
    assert [sorted(second[start : start + 4]) for start in (0, 4, 8)] == [[3, 4, 5, 6]] * 3


def test_a_part_of_weight_zero_is_left_out():
    order = WeightedOrder([(5, 0.0), (2, 1.0)], seed=0)
    assert set(order.next_indices(10)) == {5, 6}
    assert len(order) == 2


def test_ranks_share_the_problems_of_each_part():
    parts = [(4, 1.0), (6, 1.0)]
    visits = [set(WeightedOrder(parts, seed=3, rank=rank, world_size=2).next_indices(10)) for rank in (0, 1)]
    assert visits[0] | visits[1] == set(range(10))
    assert not visits[0] & visits[1]


def test_a_checkpoint_goes_on_and_other_weights_are_refused():
    order, resumed = (WeightedOrder([(7, 1.0), (5, 2.0)], seed=2) for _ in range(2))
    order.next_indices(8)
    resumed.load_state_dict(order.state_dict())
    assert order.next_indices(20) == resumed.next_indices(20)
    with pytest.raises(ValueError, match="checkpoint's problem order has shares"):
        WeightedOrder([(7, 1.0), (5, 1.0)], seed=2).load_state_dict(order.state_dict())
