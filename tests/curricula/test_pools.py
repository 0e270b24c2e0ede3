"""Difficulty pools: pass rates, pools, shares and the order of problems, worked out by hand."""

import pytest

from rltf.curricula.pools import POOLS, DifficultyPools, share_out
from rltf.rollouts.interfaces import Curriculum, ProblemPlan, RolloutMemory
from rltf.rollouts.problem_order import ProblemOrder
from rltf.types import FinishReason, Outcome, Problem, Program, Rollout, Verdict

PROBLEMS = [Problem(f"p{i}", "", ()) for i in range(10)]
EVEN = dict.fromkeys(POOLS, 1.0)


def group(passed, failed, **program):
    outcomes = [Outcome.PASSED] * passed + [Outcome.WRONG_ANSWER] * failed
    options = {"prefix_ids": (), "turn": 0, "greedy": False, **program}
    return [
        Rollout(Program("p", "", (1,), (2,), ((0, 1),), (-0.5,), FinishReason.EOS, **options), Verdict(outcome, 0, 1))
        for outcome in outcomes
    ]


def pools_of(shares=EVEN, seed=0, **options):
    pools = DifficultyPools(shares, **options)
    return pools, pools.problem_order(PROBLEMS, seed, 0, 1)


def test_pass_rates_move_half_way_to_each_new_group_and_say_the_pool():
    pools, _ = pools_of()
    assert pools.pool("p0") == "new"
    pools.update(PROBLEMS[0], group(2, 2))
    assert (pools.pool("p0"), pools.state_dict()["rates"]) == ("mid", {"p0": 0.5})
    pools.update(PROBLEMS[0], group(4, 0))  # 0.75
    assert (pools.pool("p0"), pools.state_dict()["flat"]) == ("easy", {"p0": 1})
    pools.update(PROBLEMS[0], group(0, 4))  # 0.375, and two groups in a row without a difference
    assert pools.pool("p0") == "dead"
    pools.update(PROBLEMS[0], group(1, 3))  # 0.3125
    assert pools.pool("p0") == "mid"
    pools.update(PROBLEMS[0], group(0, 4))  # 0.15625
    assert pools.pool("p0") == "hard"


def test_programs_behind_a_prefix_repairs_and_greedy_ones_say_nothing_of_the_problem():
    pools, _ = pools_of()
    for other in ({"prefix_ids": (1,)}, {"turn": 1}, {"greedy": True}):
        pools.update(PROBLEMS[0], group(4, 0, **other))
    assert pools.pool("p0") == "new"


@pytest.mark.parametrize(
    ("n", "shares", "sizes", "expected"),
    [
        (10, (3, 1, 4, 1.6, 0.4), (99, 99, 99, 99, 99), (3, 1, 4, 2, 0)),
        (8, (1, 0, 2, 1, 0), (9, 9, 3, 0, 9), (5, 0, 3, 0, 0)),  # mid has 3 of the 5.3 that are its share
        (4, (0, 0, 1, 0, 0), (9, 9, 2, 9, 9), (0, 0, 2, 0, 0)),  # who has no share gives nothing
        (3, (1, 1, 1, 1, 1), (0, 0, 0, 0, 0), (0, 0, 0, 0, 0)),
    ],
)
def test_shares_are_of_the_pools_that_can_give(n, shares, sizes, expected):
    named = [dict(zip(POOLS, values, strict=True)) for values in (shares, sizes, expected)]
    assert share_out(n, named[0], named[1]) == named[2]


def test_new_problems_come_in_the_order_that_they_have_without_pools():
    _, order = pools_of(seed=7)
    plain = ProblemOrder(10, 7).next_indices(10)
    order.start_iteration(0, 9)
    assert order.next_indices(4) == plain[:4]
    order.start_iteration(1, 9)
    assert order.next_indices(4) == plain[4:8]


def test_problems_come_by_pool_the_one_that_waited_longest_first_and_rest_for_an_iteration():
    pools, order = pools_of({"new": 1, "mid": 1})
    order.start_iteration(0, 9)
    first = order.next_indices(4)
    for index, passed in zip(first, (2, 2, 4, 2), strict=True):
        pools.update(PROBLEMS[index], group(passed, 4 - passed))  # the third is easy
    order.start_iteration(1, 9)
    second = order.next_indices(4)
    assert not set(second) & set(first)  # they rest, so all are new
    order.start_iteration(2, 9)
    third = order.next_indices(4)
    assert third == [
        *[i for i in ProblemOrder(10, 0).next_indices(10) if i not in (*first, *second)],
        first[0],
        first[1],
    ]
    assert pools.metrics()["curriculum/pool/mid"] == 0.3
    assert pools.metrics()["curriculum/pool/easy"] == 0.1


def test_where_too_few_are_rested_those_come_that_waited_longest():
    _, order = pools_of()
    order.start_iteration(0, 9)
    first = order.next_indices(8)
    second = order.next_indices(4)  # the same iteration: two are left
    assert second[2:] == first[:2]
    longest = [order._index_of[i] for i in sorted(order.ids, key=lambda i: order._last[i][1])][:3]
    assert sorted(order.next_indices(23)) == sorted([*range(10), *range(10), *longest])


def test_what_a_share_of_nothing_leaves_out_is_counted():
    pools, order = pools_of({"new": 1, "mid": 1})
    for iteration in range(9):
        order.start_iteration(iteration, 9)
        for index in order.next_indices(2):
            easy = index < 3
            pools.update(PROBLEMS[index], group(4 if easy else 2, 0 if easy else 2))
    metrics = pools.metrics()
    # 18 draws of 10 problems: five iterations for the new ones, then four of the seven that are not easy
    assert metrics["curriculum/pool/dead"] == metrics["curriculum/pool/new"] == 0.0
    assert metrics["curriculum/pool/easy"] == 0.3
    late = sum(order._drawn - order._last[f"p{i}"][1] >= 10 for i in range(3))
    assert metrics["curriculum/left_out"] == late / 10
    assert late > 0


def test_pools_and_order_go_on_where_their_state_was_taken():
    (pools, order), (other, other_order) = pools_of(seed=3), pools_of(seed=3)
    for iteration in range(3):
        order.start_iteration(iteration, 9)
        for index in order.next_indices(4):
            pools.update(PROBLEMS[index], group(index % 3, 2))
    other.load_state_dict(pools.state_dict())
    other_order.load_state_dict(order.state_dict())
    assert other.metrics() == pools.metrics()
    for iteration in range(3, 6):
        for each in (order, other_order):
            each.start_iteration(iteration, 9)
        assert order.next_indices(4) == other_order.next_indices(4)
    with pytest.raises(ValueError, match="checkpoint's problem order is of"):
        pools_of(seed=4)[1].load_state_dict(order.state_dict())
    with pytest.raises(ValueError, match="'pools': None"):
        order.load_state_dict(ProblemOrder(10, 3).state_dict())


def test_ranks_have_the_problems_that_they_have_without_pools():
    for rank in (0, 1):
        order = DifficultyPools(EVEN).problem_order(PROBLEMS, 5, rank, 2)
        assert len(order) == 5
        assert order.next_indices(5) == ProblemOrder(10, 5, rank, 2).next_indices(5)


def test_it_is_a_curriculum_that_plans_and_begins_no_program():
    pools, _ = pools_of()
    assert isinstance(pools, ProblemPlan)
    assert isinstance(pools, RolloutMemory)
    curriculum: Curriculum = pools
    assert curriculum.prefix_ids(PROBLEMS[0]) == ()
    assert len(pools.demonstration_order(PROBLEMS, 0, 0, 1)) == 10
    assert DifficultyPools(EVEN).metrics() == {}


@pytest.mark.parametrize(
    ("shares", "options", "message"),
    [
        ({"middle": 1}, {}, "shares is 'middle': expected new, easy, mid, hard or dead"),
        ({"mid": -1}, {}, r"shares\.mid is -1: expected a number of at least 0"),
        ({"mid": 0}, {}, "shares is .*: expected a share above 0"),
        (EVEN, {"easy_from": 1.1}, "easy_from is 1.1"),
        (EVEN, {"hard_up_to": 0.75}, "hard_up_to is 0.75"),
        (EVEN, {"dead_after": 0}, "dead_after is 0"),
        (EVEN, {"memory": 0.0}, "memory is 0.0"),
        (EVEN, {"rest": -1}, "rest is -1"),
    ],
)
def test_pools_that_cannot_be_are_refused_by_their_key(shares, options, message):
    with pytest.raises(ValueError, match=rf"^{message}"):
        DifficultyPools(shares, **options)
