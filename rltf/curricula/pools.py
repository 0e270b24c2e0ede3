"""Curriculum of difficulty pools: which training problem comes next, by a memory of each problem's pass rate.

A group of programs that all pass or all fail has no advantage, so the programs drawn for it are lost. The pass rates of
earlier groups say where the next one will probably differ. Every problem is in one pool:

    new     no group of it was judged yet
    dead    in its last `dead_after` groups all programs passed, or none did
    easy    else, its rate is at least `easy_from`
    hard    else, its rate is at most `hard_up_to`
    mid     else

and each pool has a share of an iteration's problems. The rate is that of the first group, and then moves by `memory`
towards each new one. Pools by pass rate are prime-rl's; its fractions and thresholds decide which problems leave the
training set, ours how often a problem comes.

How it reads what such a scheme leaves open:
1. Shares are of the pools that have a problem to give, and of a pool too small for its share the others take the rest.
2. Within a pool the problem that waited longest comes first, new ones in the order that they have without pools.
3. A problem rests for `rest` iterations, so that with `rollouts.lag=1` its verdicts are known. Where too few are
   rested, those come that waited longest.
4. A pool with share 0 gives nothing while another can; what is left out so is counted (`curriculum/left_out`).
5. Rates are of sampled programs that were written whole, for the task itself: not behind a prefix, not a repair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, Literal, get_args

from rltf.rollouts.problem_order import ProblemOrder
from rltf.types import Outcome, Problem, Rollout
from rltf.validation import OptionError, require

Pool = Literal["new", "easy", "mid", "hard", "dead"]
POOLS: tuple[Pool, ...] = get_args(Pool)


class DifficultyPools:
    """Chooses training problems by their pass rates so far; their programs are written whole.

    Args:
        shares: pool -> its share of an iteration's problems; they need not add up to 1, and a pool without one has 0.
        easy_from: pass rate from which on a problem is easy.
        hard_up_to: pass rate up to which a problem is hard.
        dead_after: groups in a row without a difference after which a problem is dead.
        memory: how far the pass rate moves towards that of a new group; 1: the newest group alone.
        rest: iterations for which a problem does not come again.

    Raises:
        OptionError: a number is out of range, or a pool is unknown.
    """

    begins_programs = False
    """It chooses problems, and leaves the beginning of their programs to others."""

    def __init__(
        self,
        shares: Mapping[str, float],
        easy_from: float = 0.75,
        hard_up_to: float = 0.25,
        dead_after: int = 2,
        memory: float = 0.5,
        rest: int = 1,
    ) -> None:
        for pool, share in shares.items():
            require("shares", pool, choices=POOLS)
            require(f"shares.{pool}", share, at_least=0)
        if not any(shares.values()):
            raise OptionError("shares", dict(shares), "a share above 0")
        require("easy_from", easy_from, above=0, at_most=1)
        require("hard_up_to", hard_up_to, at_least=0, below=easy_from)
        require("dead_after", dead_after, at_least=1, whole=True)
        require("memory", memory, above=0, at_most=1)
        require("rest", rest, at_least=0, whole=True)
        self.shares = {pool: float(shares.get(pool, 0.0)) for pool in POOLS}
        self.rest = rest
        self._easy_from, self._hard_up_to = easy_from, hard_up_to
        self._dead_after, self._memory = dead_after, memory
        self._rates: dict[str, float] = {}
        """Id of a problem that was judged -> its pass rate."""
        self._flat: dict[str, int] = {}
        """Id of such a problem -> groups in a row in which all programs passed, or none."""
        self._order: PoolOrder | None = None

    def prefix_ids(self, problem: Problem) -> tuple[int, ...]:
        """Nothing: programs are written whole (`Curriculum`)."""
        return ()

    def problem_order(self, problems: Sequence[Problem], seed: int, rank: int, world_size: int) -> PoolOrder:
        """The order of this rank's training problems (`ProblemPlan`)."""
        self._order = PoolOrder(self, [problem.id for problem in problems], seed, rank, world_size)
        return self._order

    def demonstration_order(self, problems: Sequence[Problem], seed: int, rank: int, world_size: int) -> ProblemOrder:
        """The order of this rank's demonstrations, all in their turn (`ProblemPlan`)."""
        return ProblemOrder(len(problems), seed, rank, world_size)

    def pool(self, problem_id: str) -> Pool:
        """The pool that the problem is in now."""
        rate = self._rates.get(problem_id)
        if rate is None:
            return "new"
        if self._flat[problem_id] >= self._dead_after:
            return "dead"
        return "easy" if rate >= self._easy_from else "hard" if rate <= self._hard_up_to else "mid"

    def update(self, problem: Problem, rollouts: Sequence[Rollout]) -> None:
        """Moves the problem's pass rate by one group."""
        group = [r for r in rollouts if not (r.program.greedy or r.program.prefix_ids or r.program.turn)]
        if not group:
            return
        group_rate = fmean(r.verdict.outcome is Outcome.PASSED for r in group)
        rate = self._rates.get(problem.id, group_rate)
        self._rates[problem.id] = rate + self._memory * (group_rate - rate)
        self._flat[problem.id] = self._flat.get(problem.id, 0) + 1 if group_rate in (0, 1) else 0

    def metrics(self) -> dict[str, float]:
        """Shares of this rank's problems in each pool (`curriculum/pool/...`), and of those left out
        (`curriculum/left_out`): problems that did not come although as many were drawn since as there are. Without
        pools there are none."""
        if self._order is None:
            return {}
        pools = [self.pool(problem_id) for problem_id in self._order.ids]
        return {
            **{f"curriculum/pool/{pool}": pools.count(pool) / len(pools) for pool in POOLS},
            "curriculum/left_out": self._order.left_out() / len(pools),
        }

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint: pass rates, by problem id."""
        return {"rates": dict(self._rates), "flat": dict(self._flat)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned."""
        self._rates, self._flat = dict(state["rates"]), dict(state["flat"])


class PoolOrder:
    """Order of this rank's problems by pools (a `NextProblems`).

    Args:
        pools: knows the pool of each problem.
        problem_ids: of all ranks.
        seed: of the order of new problems, and of the ranks' shares.
        rank: this process, 0-based.
        world_size: number of processes.
    """

    def __init__(
        self, pools: DifficultyPools, problem_ids: Sequence[str], seed: int, rank: int, world_size: int
    ) -> None:
        self._pools = pools
        order = ProblemOrder(len(problem_ids), seed, rank, world_size)
        self._identity = {"pools": len(problem_ids), "seed": seed, "rank": rank, "world_size": world_size}
        indices = order.next_indices(len(order))  # the first pass without pools
        self.ids = [problem_ids[index] for index in indices]
        """Problem ids in the order in which new ones come."""
        self._index_of = dict(zip(self.ids, indices, strict=True))
        self._iteration = self._drawn = 0
        self._last: dict[str, tuple[int, int]] = {}
        """Problem id -> iteration in which it came last, and problems drawn until then."""

    def __len__(self) -> int:
        """Number of this rank's problems."""
        return len(self.ids)

    def start_iteration(self, iteration: int, iterations: int) -> None:
        """Notes which iteration it is, from which rests are counted."""
        self._iteration = iteration

    def next_indices(self, n: int) -> list[int]:
        """The next `n` problem indices, all different unless `n` exceeds the number of this rank's problems."""
        waiting = sorted(self.ids, key=lambda problem_id: self._last.get(problem_id, (-1, 0)))
        latest = self._iteration - self._pools.rest
        available = [i for i in waiting if i not in self._last or self._last[i][0] < latest]
        by_pool: dict[Pool, list[str]] = {pool: [] for pool in POOLS}
        for problem_id in available:
            by_pool[self._pools.pool(problem_id)].append(problem_id)
        counts = share_out(n, self._pools.shares, {pool: len(ids) for pool, ids in by_pool.items()})
        problem_ids = [problem_id for pool in POOLS for problem_id in by_pool[pool][: counts[pool]]]
        substitutes = [i for i in (*available, *waiting) if i not in set(problem_ids)]
        problem_ids += list(dict.fromkeys(substitutes))[: n - len(problem_ids)]
        while len(problem_ids) < n:
            problem_ids += waiting[: n - len(problem_ids)]
        for problem_id in problem_ids:
            self._drawn += 1
            self._last[problem_id] = (self._iteration, self._drawn)
        return [self._index_of[problem_id] for problem_id in problem_ids]

    def left_out(self) -> int:
        """Number of problems that did not come although as many were drawn since as there are."""
        return sum(self._drawn - self._last.get(i, (0, 0))[1] >= len(self.ids) for i in self.ids)

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint, in plain builtins."""
        return {**self._identity, "iteration": self._iteration, "drawn": self._drawn, "last": dict(self._last)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned.

        Raises:
            ValueError: when the checkpoint is of other problems, another seed, rank or world size, or has no pools.
        """
        identity = {key: state.get(key) for key in self._identity}
        if identity != self._identity:
            raise ValueError(f"checkpoint's problem order is of {identity}, expected {self._identity}")
        self._iteration, self._drawn = int(state["iteration"]), int(state["drawn"])
        self._last = {problem_id: (last[0], last[1]) for problem_id, last in state["last"].items()}


def share_out(n: int, shares: Mapping[Pool, float], sizes: Mapping[Pool, int]) -> dict[Pool, int]:
    """Pool -> number of problems that it gives: `n` together where pools with a share have so many.

    Every problem comes from the pool that is farthest below its share, among those that have one left.

    Args:
        n: number of problems.
        shares: pool -> its share, of any sum.
        sizes: pool -> problems that it can give.

    Example:
        >>> counts = share_out(8, {"new": 1, "mid": 2, "hard": 1}, {"new": 9, "mid": 3, "hard": 0})
        >>> counts["new"], counts["mid"], counts["hard"]
        (5, 3, 0)
    """
    counts: dict[Pool, int] = dict.fromkeys(POOLS, 0)
    total = sum(share for pool, share in shares.items() if sizes.get(pool))
    for _ in range(n):
        able = [pool for pool in POOLS if shares.get(pool) and counts[pool] < sizes.get(pool, 0)]
        if not able:
            break
        counts[max(able, key=lambda pool: n * shares[pool] / total - counts[pool])] += 1
    return counts
