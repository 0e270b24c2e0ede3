"""Tasks one after the other: which problems come when."""

from collections import Counter

import pytest

from rltf.rollouts.interfaces import ProblemPlan
from rltf.rollouts.tasks import Multitask, Sequential, TaskOrder
from rltf.types import Problem
from rltf.validation import OptionError

SIZES = {"a": 6, "b": 9, "c": 5}


def problems(sizes=SIZES, **fields):
    """Problems of the tasks, one task after the other."""
    return [Problem(f"{task}{i}", "", (), task=task, **fields) for task, size in sizes.items() for i in range(size)]


def order(plan, rank=0, world_size=1, seed=3):
    return plan.problem_order(problems(), seed, rank, world_size)


def tasks_of(indices):
    return Counter(problems()[i].task for i in indices)


def test_every_problem_of_a_task_comes_once_before_any_comes_twice():
    train, plan = problems(), order(Sequential())
    for iteration, task in enumerate("abc"):
        plan.start_iteration(iteration, 3)
        drawn = [train[i].id for n in (2, 3, SIZES[task] - 5) for i in plan.next_indices(n)]
        assert sorted(drawn) == sorted(p.id for p in train if p.task == task)


def test_tasks_have_equal_numbers_of_iterations_in_the_order_given():
    plan = order(Sequential(order=["c", "a"]))
    drawn = []
    for iteration in range(6):
        plan.start_iteration(iteration, 6)
        drawn += [next(iter(tasks_of(plan.next_indices(2))))]
    assert "".join(drawn) == "cccaaa"
    assert plan.draws == {"c": 6, "a": 6}


def test_before_the_first_iteration_all_problems_have_their_turn():
    plan = order(Sequential())
    assert sorted(plan.next_indices(20)) == list(range(20))
    assert not plan.draws


@pytest.mark.parametrize("draw", [1, 3, 8, 10])
def test_replay_is_its_share_of_all_draws_in_equal_parts_of_the_finished_tasks(draw):
    plan = order(Sequential(memory=6, share=0.25))
    plan.start_iteration(0, 3)
    assert tasks_of(plan.next_indices(8)) == {"a": 8}  # nothing is finished
    plan.start_iteration(2, 3)
    drawn = Counter()
    for _ in range(240 // draw):
        drawn += tasks_of(plan.next_indices(draw))
    assert drawn["c"] == 180
    assert abs(drawn["a"] - drawn["b"]) <= 1
    assert drawn["a"] + drawn["b"] == 60


def test_the_memory_holds_as_many_problems_of_each_task_the_same_ones_always():
    plan = order(Sequential(memory=6, share=0.5))
    plan.start_iteration(2, 3)
    replayed = Counter(i for _ in range(20) for i in plan.next_indices(8) if problems()[i].task != "c")
    assert tasks_of(replayed) == {"a": 2, "b": 2}
    assert max(replayed.values()) - min(replayed.values()) <= 1


def test_several_demonstrations_of_a_problem_are_in_the_memory_together():
    twice = [problem for problem in problems({"a": 4, "b": 4}) for _ in range(2)]
    plan = Sequential(memory=2, share=0.5).demonstration_order(twice, 0, 0, 1)
    plan.start_iteration(1, 2)
    replayed = {i for _ in range(9) for i in plan.next_indices(8) if twice[i].task == "a"}
    assert len(replayed) == 2
    assert len({twice[i].id for i in replayed}) == 1


def test_multitask_draws_equal_parts_of_tasks_of_unequal_size():
    plan = order(Multitask())
    drawn = Counter()
    for iteration in range(6):
        plan.start_iteration(iteration, 6)
        drawn += tasks_of(plan.next_indices(7))
    assert drawn == {"a": 14, "b": 14, "c": 14}


def test_two_ranks_have_no_problem_in_common():
    train = problems()
    shares = []
    for rank in range(2):
        plan = order(Sequential(memory=6, share=0.25), rank, 2)
        drawn = set()
        for iteration in range(3):
            plan.start_iteration(iteration, 3)
            drawn |= set(plan.next_indices(12))
        shares.append(drawn)
    assert not shares[0] & shares[1]
    assert len(shares[0] | shares[1]) == len(train)


def test_a_resumed_order_goes_on_in_the_middle_of_a_task_as_the_uninterrupted_one():
    plan, resumed = order(Sequential(memory=6, share=0.3)), order(Sequential(memory=6, share=0.3))
    for iteration in range(5):
        plan.start_iteration(iteration, 9)
        plan.next_indices(4)
    resumed.load_state_dict(plan.state_dict())
    for iteration in range(5, 9):
        plan.start_iteration(iteration, 9)
        resumed.start_iteration(iteration, 9)
        assert resumed.next_indices(4) == plan.next_indices(4)
    assert resumed.draws == plan.draws


def test_a_checkpoint_of_another_order_of_tasks_is_refused():
    state = order(Sequential()).state_dict()
    with pytest.raises(ValueError, match="the checkpoint's tasks are"):
        order(Sequential(order=["b", "a", "c"])).load_state_dict(state)
    with pytest.raises(ValueError, match="the checkpoint's tasks are"):
        order(Sequential(memory=6)).load_state_dict(state)


def test_difficulties_can_be_tasks():
    mixed = [Problem(str(i), "", (), difficulty="hard" if i % 3 else "easy") for i in range(9)]
    assert Sequential(by="difficulty").names(mixed) == ("easy", "hard")
    plan = Sequential(by="difficulty", order=["hard", "easy"]).problem_order(mixed, 0, 0, 1)
    plan.start_iteration(0, 2)
    assert {mixed[i].difficulty for i in plan.next_indices(4)} == {"hard"}


def test_mistakes_are_one_sentence():
    one = problems({"a": 3})
    with pytest.raises(ValueError, match=r"all training problems are of one task \(a\)"):
        Sequential().names(one)
    assert Sequential(order=["a"]).names(one) == ("a",)  # one task alone, asked for: the individual baseline
    with pytest.raises(ValueError, match=r"tasks\.by is difficulty and a training problem has no difficulty"):
        Sequential(by="difficulty").names(one)
    with pytest.raises(OptionError, match=r"tasks\.order is 'z': expected names among a, b, c"):
        Sequential(order=["a", "z"]).names(problems())
    with pytest.raises(OptionError, match="a list of different names"):
        Sequential(order=["a", "a"])
    with pytest.raises(OptionError, match=r"tasks\.memory is 2: expected 0, or at least 3"):
        order(Sequential(memory=2))
    with pytest.raises(OptionError, match=r"share is 1\.0"):
        Sequential(memory=3, share=1.0)
    with pytest.raises(ValueError, match="tasks: of task c the benchmark has 5 training problems for 6 processes"):
        order(Sequential(), 0, 6)


def test_plans_are_plans():
    assert isinstance(Sequential(), ProblemPlan)
    assert isinstance(Multitask(), ProblemPlan)
    assert isinstance(order(Multitask()), TaskOrder)
