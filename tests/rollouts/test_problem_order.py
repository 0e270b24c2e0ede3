import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.rollouts.problem_order import ProblemOrder


@given(count=st.integers(1, 20), seed=st.integers(0, 5), passes=st.integers(1, 3))
def test_every_problem_comes_once_before_any_comes_again(count, seed, passes):
    order = ProblemOrder(count, seed)
    for _ in range(passes):
        assert sorted(order.next_indices(count)) == list(range(count))


@given(count=st.integers(4, 30), world_size=st.integers(1, 4), seed=st.integers(0, 5))
def test_ranks_share_all_problems_without_overlap_in_every_pass(count, world_size, seed):
    orders = [ProblemOrder(count, seed, rank, world_size) for rank in range(world_size)]
    for _ in range(2):
        drawn = [p for order in orders for p in order.next_indices(len(order))]
        assert sorted(drawn) == list(range(count))
    assert max(map(len, orders)) - min(map(len, orders)) <= 1


@given(count=st.integers(1, 15), n=st.integers(1, 15), calls=st.integers(1, 12))
def test_one_draw_holds_a_problem_twice_only_when_it_asks_for_more_than_there_are(count, n, calls):
    order = ProblemOrder(count, seed=3)
    for _ in range(calls):
        drawn = order.next_indices(n)
        assert len(set(drawn)) == min(n, count)


def test_passes_differ_and_seeds_differ():
    order = ProblemOrder(50, seed=0)
    first, second = order.next_indices(50), order.next_indices(50)
    assert first != second
    assert first != ProblemOrder(50, seed=1).next_indices(50)
    assert first == ProblemOrder(50, seed=0).next_indices(50)


@given(before=st.integers(0, 40), after=st.integers(1, 40))
def test_resumed_order_goes_on_as_the_uninterrupted_one(before, after):
    order, resumed = ProblemOrder(7, seed=2), ProblemOrder(7, seed=2)
    order.next_indices(before)
    resumed.load_state_dict(order.state_dict())
    assert resumed.next_indices(after) == order.next_indices(after)


def test_checkpoint_of_another_world_size_is_refused():
    state = ProblemOrder(8, seed=0, rank=0, world_size=2).state_dict()
    with pytest.raises(ValueError, match="checkpoint's problem order"):
        ProblemOrder(8, seed=0).load_state_dict(state)


def test_fewer_problems_than_processes_is_refused():
    with pytest.raises(ValueError, match="1 training problems for 2 processes"):
        ProblemOrder(1, seed=0, rank=0, world_size=2)
