"""Tasks one after the other: continual learning (arXiv 2307.02435), with or without examples of earlier tasks.

A task is a part of the training problems, by `Problem.task` or by their difficulty. An iteration belongs to one task;
each has as many iterations. Before the first iteration (in a supervised warm-up) every problem has its turn.

How it deviates from the paper's code:
1. The paper shows the whole memory once at the end of each epoch. Here a share of every iteration's problems is from
   the memory, in equal parts of the finished tasks: an iteration of RL has no epochs.
2. In RL the memory holds problems; programs are drawn anew.
3. What is trained on lags by `rollouts.lag` and by the buffer: the first iteration of a task may train on programs of
   the task before.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Literal

from rltf.rollouts.problem_order import ProblemOrder
from rltf.types import Problem
from rltf.validation import OptionError, require

By = Literal["task", "difficulty"]


class Tasks:
    """Which problems make a task, and in which order tasks come: what plans have in common.

    Args:
        order: names of the tasks; null: as they are first met among the training problems.
        by: what names a problem's task: its `task`, or its `difficulty`.

    Raises:
        OptionError: an argument is out of range.
    """

    replays = False
    """Whether problems of finished tasks come again."""

    def __init__(self, order: Sequence[str] | None = None, by: By = "task") -> None:
        require("by", by, choices=("task", "difficulty"))
        if order is not None and (isinstance(order, str) or not order or len(set(order)) < len(order)):
            raise OptionError("order", order, "a list of different names of tasks, or null")
        self._order, self.by = order, by

    def task_of(self, problem: Problem) -> str:
        """The name of a problem's task; empty where it has none."""
        return problem.task if self.by == "task" else problem.difficulty

    def names(self, problems: Sequence[Problem]) -> tuple[str, ...]:
        """The tasks of training problems, in the order in which they come.

        Raises:
            ValueError: there is one task alone, a problem has none, or `order` names one that has no problems.
        """
        tasks = list(dict.fromkeys(self.task_of(problem) for problem in problems))
        if "" in tasks:
            raise ValueError(f"tasks.by is {self.by} and a training problem has no {self.by}: expected another `by`")
        if self._order is None and len(tasks) < 2:
            raise ValueError(
                f"tasks: all training problems are of one {self.by} ({tasks[0]}): expected a benchmark of several, "
                "such as benchmark=codetask_mini, or another tasks.by"
            )
        for name in self._order or ():
            if name not in tasks:
                raise OptionError("tasks.order", name, f"names among {', '.join(tasks)}")
        return tuple(self._order or tasks)


class Sequential(Tasks):
    """One task after the other.

    Args:
        order, by: see `Tasks`. An `order` of one name trains on that task alone.
        memory: training problems of finished tasks that come again, all tasks together; 0: none.
        share: of an iteration's problems that are from the memory, above 0 and below 1.

    Raises:
        OptionError: an argument is out of range.
    """

    def __init__(
        self, order: Sequence[str] | None = None, by: By = "task", memory: int = 0, share: float = 0.25
    ) -> None:
        super().__init__(order, by)
        require("memory", memory, at_least=0, whole=True)
        require("share", share, above=0, below=1)
        self._memory, self._share = memory, share
        self.replays = memory > 0

    def problem_order(self, problems: Sequence[Problem], seed: int, rank: int, world_size: int) -> TaskOrder:
        """The order of this rank's training problems (see `ProblemPlan`)."""
        names = self.names(problems)
        per_task = self._memory // len(names)
        if self._memory and per_task < world_size:
            least = len(names) * world_size
            raise OptionError("tasks.memory", self._memory, f"0, or at least {least}: one a task and process")
        segments = [(name,) for name in names]
        places = [(self.task_of(problem), problem.id) for problem in problems]
        return TaskOrder(places, segments, seed, rank, world_size, per_task // world_size, self._share)

    def demonstration_order(self, problems: Sequence[Problem], seed: int, rank: int, world_size: int) -> TaskOrder:
        """The order of this rank's demonstrations: the memory holds those of as many problems."""
        return self.problem_order(problems, seed, rank, world_size)


class Multitask(Tasks):
    """All tasks at once, in equal parts: what continual learning is compared with. Arguments as of `Tasks`."""

    def problem_order(self, problems: Sequence[Problem], seed: int, rank: int, world_size: int) -> TaskOrder:
        """The order of this rank's training problems (see `ProblemPlan`)."""
        names = self.names(problems)
        places = [(self.task_of(problem), problem.id) for problem in problems]
        return TaskOrder(places, [names for _ in names], seed, rank, world_size)

    def demonstration_order(self, problems: Sequence[Problem], seed: int, rank: int, world_size: int) -> TaskOrder:
        """The order of this rank's demonstrations."""
        return self.problem_order(problems, seed, rank, world_size)


class TaskOrder:
    """Order of one rank's problems by segments of a run, each of one task or of several in equal parts.

    Every problem of a task comes once before one comes twice; those of the memory are apart from that.

    Args:
        problems: (task, id) of the problems of all ranks; several places may have one id.
        segments: tasks of each segment, all of the same number of iterations.
        seed: seed of shares and shuffles.
        rank: index of this process.
        world_size: number of processes.
        memory: problems of this rank that each finished task leaves in the memory.
        share: of a draw that is from the memory.

    Raises:
        ValueError: a task has fewer problems than there are processes.
    """

    def __init__(
        self,
        problems: Sequence[tuple[str, str]],
        segments: Sequence[Sequence[str]],
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        memory: int = 0,
        share: float = 0.0,
    ) -> None:
        names = list(dict.fromkeys(name for segment in segments for name in segment))
        self._places = {name: [i for i, (task, _) in enumerate(problems) if task == name] for name in names}
        self._segments = [tuple(segment) for segment in segments]
        self._all = ProblemOrder(len(problems), seed, rank, world_size)
        self._orders: dict[str, ProblemOrder] = {}
        for name, places in self._places.items():
            try:
                self._orders[name] = ProblemOrder(len(places), seed, rank, world_size)
            except ValueError as error:
                raise ValueError(f"tasks: of task {name} the {error}") from error
        self._share = share if memory else 0.0
        self._memories = {name: self._chosen(name, problems, memory, seed) for name in names if memory}
        self._memory_orders = {name: ProblemOrder(len(places), seed, 0, 1) for name, places in self._memories.items()}
        self._identity = {"tasks": [list(s) for s in self._segments], "memory": memory, "share": self._share}
        self._segment: int | None = None
        self._owed = 0.0
        """Problems from the memory that are due, a part of one."""
        self._turns = {"tasks": 0, "memory": 0}
        self.draws: Counter[str] = Counter()
        """Task -> problems drawn of it since the first iteration, replayed ones included."""

    def __len__(self) -> int:
        return len(self._all)

    @property
    def segment(self) -> int | None:
        """0-based index of the present segment; None before the first iteration."""
        return self._segment

    @property
    def sizes(self) -> dict[str, int]:
        """Task -> its problems, of all ranks."""
        return {name: len(places) for name, places in self._places.items()}

    def start_iteration(self, iteration: int, iterations: int) -> None:
        """Sets the segment that an iteration belongs to."""
        self._segment = min(iteration * len(self._segments) // iterations, len(self._segments) - 1)

    def next_indices(self, n: int) -> list[int]:
        """The next `n` indices into the problems of all ranks: those of the segment's tasks, then those of finished
        tasks."""
        if self._segment is None:
            return self._all.next_indices(n)
        finished = [name for segment in self._segments[: self._segment] for name in segment]
        replayed = self._replayed(n) if finished and self._share else 0
        present = self._dealt(self._segments[self._segment], n - replayed, "tasks")
        indices = [self._places[name][i] for name, k in present.items() for i in self._orders[name].next_indices(k)]
        for name, k in self._dealt(finished, replayed, "memory").items():
            indices += [self._memories[name][i] for i in self._memory_orders[name].next_indices(k)]
        return indices

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint, in plain builtins."""
        return {
            **self._identity,
            "all": self._all.state_dict(),
            "orders": {name: order.state_dict() for name, order in self._orders.items()},
            "memories": {name: order.state_dict() for name, order in self._memory_orders.items()},
            "segment": self._segment,
            "owed": self._owed,
            "turns": dict(self._turns),
            "draws": dict(self.draws),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned.

        Raises:
            ValueError: the checkpoint is of other tasks or another memory.
        """
        identity = {key: state.get(key) for key in self._identity}
        if identity != self._identity:
            raise ValueError(f"resume: the checkpoint's tasks are {identity}, expected {self._identity}")
        self._all.load_state_dict(state["all"])
        for orders, key in ((self._orders, "orders"), (self._memory_orders, "memories")):
            for name, order in orders.items():
                order.load_state_dict(state[key][name])
        self._segment, self._owed = state["segment"], state["owed"]
        self._turns, self.draws = dict(state["turns"]), Counter(state["draws"])

    def _chosen(self, name: str, problems: Sequence[tuple[str, str]], memory: int, seed: int) -> list[int]:
        """This rank's places of a task whose problems have the lowest hashes: `memory` problems."""
        own = [self._places[name][i] for i in self._orders[name].share]

        def hashed(problem_id: str) -> bytes:
            return hashlib.blake2b(f"{seed}/{problem_id}".encode(), digest_size=8).digest()

        ids = set(islice(sorted(dict.fromkeys(problems[i][1] for i in own), key=hashed), memory))
        return [i for i in own if problems[i][1] in ids]

    def _replayed(self, n: int) -> int:
        """How many of `n` problems are from the memory: `share` of all draws, whatever their sizes."""
        self._owed += self._share * n
        whole = int(self._owed + 1e-9)
        self._owed -= whole
        return whole

    def _dealt(self, names: Sequence[str], n: int, turn: str) -> dict[str, int]:
        """Task -> its part of `n`, equal but for one; who gets that one goes round."""
        parts = Counter(names[(self._turns[turn] + i) % len(names)] for i in range(n)) if n else Counter()
        self._turns[turn] += n
        self.draws.update(parts)
        return {name: parts[name] for name in names if parts[name]}
