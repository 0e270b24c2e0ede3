"""Jobs that wait for a worker, in the order in which they came but for those whose tests a worker knows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Set
from dataclasses import dataclass
from itertools import islice

from rltf.execution.messages import Message

_MAX_BATCH = 4
"""Jobs given to a worker in one message while many wait; few, so that none waits long behind a slow one."""
_NEAR_FRONT = 32
"""Jobs among which one is looked for whose tests a worker knows."""
_MAX_OVERTAKEN = 32
"""Jobs that overtake the first one at most."""


@dataclass(eq=False)
class Task:
    """A job on its way to a verdict."""

    message: Message
    lost_workers: int = 0
    """Workers that died while they had this job alone; one that was stuck counts for all."""
    withdrawn_at: float | None = None
    """When its verdict was no longer wanted, while a worker had it."""
    alone: bool = False
    """It may have ended a worker that had other jobs, too, and goes out by itself from now on."""
    overtaken: int = 0
    """Tasks that went out before it though they came later, while it was the first."""


class JobQueue:
    """Tasks that wait.

    A worker remembers test sets, and so does its grader, whose first look at a text costs as much as a program: so a
    worker gets a task near the front whose tests it has, if there is one.
    """

    def __init__(self) -> None:
        self._tasks: deque[Task] = deque()

    def __len__(self) -> int:
        return len(self._tasks)

    def append(self, task: Task) -> None:
        """Adds a task at the end."""
        self._tasks.append(task)

    def put_back(self, tasks: Iterable[Task]) -> None:
        """Adds tasks at the front, in their order."""
        self._tasks.extendleft(reversed([*tasks]))

    def withdraw(self, job: int) -> bool:
        """Drops a job; False when it does not wait here."""
        task = next((task for task in self._tasks if task.message.job == job), None)
        if task is not None:
            self._tasks.remove(task)
        return task is not None

    def take(self, known: Set[int], workers: int) -> list[Task]:
        """Tasks for one worker, at least one.

        Args:
            known: test sets that the worker has.
            workers: of the pool, which share what waits.
        """
        share = len(self._tasks) // (4 * workers)
        tasks = [self._pop(self._best(known))]
        while self._tasks and len(tasks) < min(_MAX_BATCH, share) and not tasks[-1].alone:
            at = self._best(known)
            if self._tasks[at].alone:
                break
            tasks.append(self._pop(at))
        return tasks

    def _best(self, known: Set[int]) -> int:
        """Position of a task near the front whose tests are known; 0 where there is none, or where the first task has
        waited for others long enough."""
        if self._tasks[0].overtaken >= _MAX_OVERTAKEN:
            return 0
        near = enumerate(islice(self._tasks, _NEAR_FRONT))
        return next((at for at, task in near if task.message.test_set in known), 0)

    def _pop(self, at: int) -> Task:
        task = self._tasks[at]
        if at:
            self._tasks[0].overtaken += 1
        del self._tasks[at]
        return task
