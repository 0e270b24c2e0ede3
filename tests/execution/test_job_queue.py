"""Which job goes to which worker."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rltf.execution import messages
from rltf.execution.messages import Message
from rltf.execution.pool.job_queue import JobQueue, Task


def queue_of(*test_sets: int) -> JobQueue:
    queue = JobQueue()
    for number, test_set in enumerate(test_sets, 1):
        queue.append(Task(Message(messages.JOB, job=number, test_set=test_set)))
    return queue


def numbers(tasks: list[Task]) -> list[int]:
    return [task.message.job for task in tasks]


def test_a_worker_gets_a_job_whose_tests_it_knows_and_else_the_first() -> None:
    queue = queue_of(1, 2, 3)
    assert numbers(queue.take({3, 9}, 2)) == [3]
    assert numbers(queue.take({9}, 2)) == [1]
    assert numbers(queue.take(set(), 2)) == [2]
    assert len(queue) == 0


def test_far_behind_the_front_nothing_is_looked_for() -> None:
    assert numbers(queue_of(*range(32), 99).take({99}, 9)) == [1]
    assert numbers(queue_of(*range(31), 99).take({99}, 9)) == [32]


def test_the_first_job_is_overtaken_a_bounded_number_of_times() -> None:
    queue = queue_of(1, *[7] * 100)
    order = [number for _ in range(34) for number in numbers(queue.take({7}, 100))]
    assert order == [*range(2, 34), 1, 34]


def test_several_go_out_at_once_while_many_wait() -> None:
    queue = queue_of(*[1, 2] * 16)
    assert numbers(queue.take({2}, 2)) == [2, 4, 6, 8]  # 32 wait for 2 workers: a share of 4
    assert numbers(queue.take({1}, 3)) == [1, 3]  # 28 for 3: a share of 2
    assert numbers(queue.take({1}, 30)) == [5]


def test_a_job_that_goes_out_alone_does() -> None:
    queue = queue_of(*[1] * 32)
    tasks = queue.take({1}, 2)
    tasks[1].alone = True
    queue.put_back(tasks)
    assert [numbers(queue.take({1}, 2)) for _ in range(3)] == [[1], [2], [3, 4, 5]]


def test_what_is_put_back_is_first_again_and_what_is_withdrawn_is_gone() -> None:
    queue = queue_of(1, 1, 1)
    queue.put_back(queue.take(set(), 9))
    assert queue.withdraw(2)
    assert not queue.withdraw(2)
    assert [numbers(queue.take(set(), 9)) for _ in range(2)] == [[1], [3]]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=80), st.lists(st.sets(st.integers(0, 5)), min_size=1))
def test_every_job_goes_out_once_and_none_waits_for_ever(test_sets: list[int], known: list[set[int]]) -> None:
    queue, order = queue_of(*test_sets), []
    while queue:
        order += numbers(queue.take(known[len(order) % len(known)], 2))
    assert sorted(order) == [*range(1, len(test_sets) + 1)]
    place = {number: at for at, number in enumerate(order, 1)}
    assert all(place[number] <= number + 32 * number for number in place)
