"""Which inputs become tests: a greedy cover of the mutants that they kill and of the outputs that they show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rltf.types import Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Candidate:
    """An input whose output is known."""

    kills: frozenset[int]
    """Numbers of the mutants that answer something else."""
    output: str
    """The text of its output."""
    length: int
    """Characters of arguments and output."""
    ordinary: bool = True
    """False for an edge input."""


def kills_of(verdict: Verdict) -> list[bool]:
    """For each test of a mutant's verdict whether it kills the mutant. After a test that times out the others may not
    have been run: that one alone kills."""
    killed: list[bool] = []
    for number, result in enumerate(verdict.tests):
        timed_out = result.status is Outcome.TIMEOUT
        unrun = timed_out and any(test.status is Outcome.TIMEOUT for test in verdict.tests[:number])
        killed.append(result.status is not Outcome.PASSED and not unrun)
    return killed


def choose(candidates: Sequence[Candidate], count: int) -> list[int]:
    """Positions of at most `count` candidates, in the order of the choice.

    Ordinary inputs are chosen as long as they kill a mutant that none before them killed, then edge inputs that do,
    then, until there are enough, ordinary ones: those that kill mutants which few of the chosen ones kill, then those
    with new outputs; of equals the one whose length is nearest to the middle one's (the shortest inputs are trivial,
    the longest no example), then the first.

    >>> choose([Candidate(frozenset({1}), "1", 4), Candidate(frozenset({1, 2}), "2", 9)], 1)
    [1]
    """
    cover = _Cover(candidates)
    for ordinary in (True, False):
        while len(cover.chosen) < count and (best := cover.best(ordinary)) is not None and cover.new_kills(best):
            cover.add(best)
    while len(cover.chosen) < count and (best := cover.best(True)) is not None:
        cover.add(best)
    return cover.chosen


class _Cover:
    """What the candidates that were chosen so far kill and show."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = candidates
        self._middle = median(candidate.length for candidate in candidates) if candidates else 0.0
        self._killed: Counter[int] = Counter()
        """Mutant -> chosen candidates that kill it."""
        self._outputs: set[str] = set()
        self.chosen: list[int] = []

    def add(self, at: int) -> None:
        """Chooses a candidate."""
        self.chosen.append(at)
        self._killed.update(self._candidates[at].kills)
        self._outputs.add(self._candidates[at].output)

    def new_kills(self, at: int) -> int:
        """Mutants that it alone kills."""
        return sum(not self._killed[mutant] for mutant in self._candidates[at].kills)

    def best(self, ordinary: bool) -> int | None:
        """The best candidate that is not chosen yet."""
        free = [at for at, c in enumerate(self._candidates) if c.ordinary is ordinary and at not in self.chosen]
        return max(free, key=lambda at: (self._merit(at), -at), default=None)

    def _merit(self, at: int) -> tuple[int, float, bool, float]:
        candidate = self._candidates[at]
        repeat_kills = sum(0.5 ** self._killed[mutant] for mutant in candidate.kills)
        new_output = candidate.output not in self._outputs
        return self.new_kills(at), repeat_kills, new_output, -abs(candidate.length - self._middle)
