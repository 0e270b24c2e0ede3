"""Curriculum of completion subtasks: StepCoder's CCCS (arXiv 2402.01391, section 3.1).

Programs of a problem begin with a prefix of its reference program, which is context and carries no loss. The prefix
ends at the beginning of a conditional statement, first the last one; once enough of an iteration's programs pass, it
ends at an earlier one, problem by problem, until the policy writes the whole program.

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
    """Starts training programs with a prefix of a reference program, shorter as more programs pass.

    Args:
        benchmark: writes reference programs as answers.
        policy: encodes the answers.
        threshold: the prefix is shortened when more than this share of an iteration's sampled programs pass.
        stride: points by which the prefix is shortened; `sqrt`: the square root of their number, rounded up.
        points: where a program may begin: at a `conditional` statement, or at any `statement`.

    Raises:
        OptionError: an argument is out of range.
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
        self._prefixes: dict[str, tuple[list[Ids], int]] = {}
        self._moves: dict[str, int] = {}
        """Id of a problem with points -> times its prefix was shortened."""
        self._given_share: dict[str, float] = {}
        """Id of a problem with points -> share of the reference's tokens that is its prefix now."""

    def prefix_ids(self, problem: Problem) -> Ids:
        """The prefix of the problem's next programs."""
        prefixes, length = self.prefixes(problem)
        if len(prefixes) == 1:
            return ()
        prefix = prefixes[self._moves.setdefault(problem.id, 0)]
        self._given_share[problem.id] = len(prefix) / length
        return prefix

    def update(self, problem: Problem, rollouts: Sequence[Rollout]) -> None:
        """Shortens the prefix when enough of the sampled programs with the present prefix passed."""
        prefixes, length = self.prefixes(problem)
        move = self._moves.get(problem.id, 0)
        sampled = [r for r in rollouts if not r.program.greedy and r.program.prefix_ids == prefixes[move]]
        if move + 1 == len(prefixes) or not sampled:
            return
        if fmean(r.verdict.outcome is Outcome.PASSED for r in sampled) > self._threshold:
            self._moves[problem.id] = move + 1
            self._given_share[problem.id] = len(prefixes[move + 1]) / length

    def prefixes(self, problem: Problem) -> tuple[list[Ids], int]:
        """(prefixes from the longest to the empty one, number of tokens of the whole reference)."""
        if problem.id not in self._prefixes:
            self._prefixes[problem.id] = self._cut_reference(problem)
        return self._prefixes[problem.id]

    def metrics(self) -> dict[str, float]:
        """Metrics over the problems met so far that have points: their number `curriculum/problems`, means of the share
        of the reference that is given `curriculum/given_share` and of `curriculum/moves`, and
        `curriculum/whole_share`, the share of problems whose programs are written whole."""
        if not self._moves:
            return {}
        return {
            "curriculum/problems": float(len(self._moves)),
            "curriculum/given_share": fmean(self._given_share.values()),
            "curriculum/whole_share": fmean(share == 0 for share in self._given_share.values()),
            "curriculum/moves": fmean(self._moves.values()),
        }

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint: moves and share given, by problem id."""
        return {"moves": dict(self._moves), "given": dict(self._given_share)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned."""
        self._moves, self._given_share = dict(state["moves"]), dict(state["given"])

    def _cut_reference(self, problem: Problem) -> tuple[list[Ids], int]:
        for program in problem.references:
            try:
                answer = self._benchmark.answer(problem, program)
            except ValueError:  # the prompt format cannot hold this program
                continue
            extraction = self._benchmark.extract(problem, answer)
            ids = self._policy.encode_answer(answer)
            text, offsets = self._policy.decode(ids)
            if text != answer or extraction.program(answer) != program:
                continue
            shift = extraction.start - len(extraction.lead)
            ends = [end for _, end in offsets]
            cuts = [_tokens_before(ends, point + shift) for point in statement_offsets(program, self._points)]
            cuts = sorted({cut for cut in cuts if cut and ends[cut - 1]})
            step = math.ceil(math.sqrt(len(cuts))) if self._stride == "sqrt" else self._stride
            return [*(ids[:cut] for cut in cuts[::-1][:: max(step, 1)]), ()], len(ids)
        return [()], 1


def _tokens_before(ends: Sequence[int], character: int) -> int:
    """Number of tokens that lie wholly before a character."""
    return next((t for t, end in enumerate(ends) if end > character), len(ends) - 1)


def statement_offsets(program: str, points: Points) -> list[int]:
    """Offsets of the characters at which the lines of such statements begin, rising; empty for a program that does not
    parse.

    >>> statement_offsets("x = 1\\nif x:\\n    x = 2\\n", "conditional")
    [6]
    """
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    statements = CONDITIONAL if points == "conditional" else ast.stmt
    starts = [start for start, _ in line_spans(program)]
    lines = {node.lineno for node in ast.walk(tree) if isinstance(node, statements)}
    return [starts[line - 1] for line in sorted(lines)]
