"""Curriculum of completion subtasks: StepCoder's CCCS (arXiv 2402.01391, section 3.1).

Programs of a problem begin with a prefix of its reference program, which is context and carries no loss. The prefix
ends at the beginning of a conditional statement, first the last one; once enough of a visit's programs pass, it ends at
an earlier one, problem by problem, until the policy writes the whole program.

How it reads what the paper leaves open:
1. Conditional statements are `if` and `elif`, `for`, `while`, `match`. With `points=statement` a program may begin at
   any statement, for programs with few conditions.
2. A move skips `stride` points; `sqrt` is the square root of their number, rounded up.
3. A prefix ends before a line, and between two tokens of the whole answer: the policy is to write what it would have
   written without the cut. Where a token holds the end of a line and more, the prefix ends before that token.
4. References that the prompt format cannot hold give no prefix; such a problem is written whole from the start.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, Literal, get_args

from rltf.benchmarks.base import Benchmark
from rltf.policies.base import Policy
from rltf.rewards.spans import line_spans
from rltf.types import Outcome, Problem, Rollout
from rltf.validation import OptionError, require

Points = Literal["conditional", "statement"]
CONDITIONAL = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Match)
Ids = tuple[int, ...]


class CompletionCurriculum:
    """Gives the start of a reference program, less of it as training succeeds.

    Args:
        benchmark: writes answers.
        policy: encodes them.
        threshold: share of a visit's sampled programs that must be exceeded by those that pass, to move on.
        stride: points a move; `sqrt`: the square root of their number, rounded up.
        points: where a program may begin: at a `conditional` statement, or at any `statement`.

    Raises:
        ValueError: an argument makes no sense.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        policy: Policy,
        threshold: float = 0.5,
        stride: int | Literal["sqrt"] = "sqrt",
        points: Points = "conditional",
    ) -> None:
        require("threshold", threshold, at_least=0, below=1)
        if stride != "sqrt" and (not isinstance(stride, int) or stride < 1):
            raise OptionError("stride", stride, "sqrt or a whole number of at least 1")
        require("points", points, choices=get_args(Points))
        self._benchmark, self._policy = benchmark, policy
        self._threshold, self._stride, self._points = threshold, stride, points
        self._starts: dict[str, tuple[list[Ids], int]] = {}
        self._moves: dict[str, int] = {}
        """Problem with points -> moves so far."""
        self._given: dict[str, float] = {}
        """Problem with points -> share of the reference's tokens that is given now."""

    def start(self, problem: Problem) -> Ids:
        """The prefix of the problem's next programs."""
        starts, length = self.starts(problem)
        if len(starts) == 1:
            return ()
        prefix = starts[self._moves.setdefault(problem.id, 0)]
        self._given[problem.id] = len(prefix) / length
        return prefix

    def update(self, problem: Problem, rollouts: Sequence[Rollout]) -> None:
        """Moves on when enough of the sampled programs that began at the present point passed."""
        starts, length = self.starts(problem)
        at = self._moves.get(problem.id, 0)
        sampled = [r for r in rollouts if not r.program.greedy and r.program.prefix_ids == starts[at]]
        if at + 1 == len(starts) or not sampled:
            return
        if fmean(r.verdict.outcome is Outcome.PASSED for r in sampled) > self._threshold:
            self._moves[problem.id] = at + 1
            self._given[problem.id] = len(starts[at + 1]) / length

    def starts(self, problem: Problem) -> tuple[list[Ids], int]:
        """(prefixes from the first to be given to the empty one, tokens of the whole reference)."""
        if problem.id not in self._starts:
            self._starts[problem.id] = self._find(problem)
        return self._starts[problem.id]

    def metrics(self) -> dict[str, float]:
        """Of the problems seen that have points: `curriculum/problems`, `curriculum/given_share` of the reference's
        tokens, `curriculum/whole_share` of problems written whole by now, `curriculum/moves` a problem."""
        if not self._moves:
            return {}
        return {
            "curriculum/problems": float(len(self._moves)),
            "curriculum/given_share": fmean(self._given.values()),
            "curriculum/whole_share": fmean(share == 0 for share in self._given.values()),
            "curriculum/moves": fmean(self._moves.values()),
        }

    def state_dict(self) -> dict[str, Any]:
        """Where every problem stands."""
        return {"moves": dict(self._moves), "given": dict(self._given)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues where `state_dict` was taken."""
        self._moves, self._given = dict(state["moves"]), dict(state["given"])

    def _find(self, problem: Problem) -> tuple[list[Ids], int]:
        for program in problem.references:
            try:
                answer = self._benchmark.answer(problem, program)
            except ValueError:  # the format has no place for this one
                continue
            place = self._benchmark.extract(problem, answer)
            ids = self._policy.encode_answer(answer)
            text, offsets = self._policy.decode(ids)
            if text != answer or place.program(answer) != program:
                continue
            shift = place.start - len(place.lead)
            ends = [end for _, end in offsets]
            cuts = [_tokens_before(ends, point + shift) for point in points_of(program, self._points)]
            cuts = sorted({cut for cut in cuts if cut and ends[cut - 1]})
            step = math.ceil(math.sqrt(len(cuts))) if self._stride == "sqrt" else self._stride
            return [*(ids[:cut] for cut in cuts[::-1][:: max(step, 1)]), ()], len(ids)
        return [()], 1


def _tokens_before(ends: Sequence[int], character: int) -> int:
    """Tokens that lie wholly before a character."""
    return next((t for t, end in enumerate(ends) if end > character), len(ends) - 1)


def points_of(program: str, points: Points) -> list[int]:
    """Characters at which the lines of such statements begin, rising; none for a program that does not parse.

    >>> points_of("x = 1\\nif x:\\n    x = 2\\n", "conditional")
    [6]
    """
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    wanted = CONDITIONAL if points == "conditional" else ast.stmt
    starts = [start for start, _ in line_spans(program)]
    lines = {node.lineno for node in ast.walk(tree) if isinstance(node, wanted)}
    return [starts[line - 1] for line in sorted(lines)]
