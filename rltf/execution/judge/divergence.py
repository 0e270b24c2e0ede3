"""A program that gave a wrong answer beside a reference that gives the right one: both run once more on the first test
with a wrong answer, in the sandbox, noting their values (`rltf.execution.inside.trace`).

The judge has decided every test by then, and nothing that is found out here changes it. A program whose second run does
not give a wrong answer, and a reference that does not pass, say nothing. Nor does a test whose checker takes several
answers for right, or one that runs no program.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress

from rltf.execution.inside.sites import Site
from rltf.execution.inside.trace import TraceMemory
from rltf.execution.judge.diverging_line import diverging_site
from rltf.execution.judge.progress import TestProgress
from rltf.execution.judge.traced_program import TracedProgram
from rltf.execution.messages import JudgeTest
from rltf.execution.sandbox.limits import ZygoteLost
from rltf.types import Divergence, Outcome, StdioTest

TRACED_SECONDS = 2.0
"""Seconds of a run that notes values, at most; a slower program says nothing."""
_MAX_TRACES = 256
"""Traces of references that a worker remembers."""


class ReferenceComparison:
    """Finds the statements at which programs part from their references.

    Args:
        run: runs a program on the test at a position and decides that test; raises `ZygoteLost`.
    """

    def __init__(self, run: Callable[[TestProgress, int], None]) -> None:
        self._run = run
        self._memory: TraceMemory | None = None
        self._references: OrderedDict[tuple[str, str, int, int], TracedProgram | None] = OrderedDict()
        """Reference, setup, test set, test -> its trace; None: it does not pass."""

    def __call__(self, judged: TestProgress, reference: str, at: int) -> Divergence:
        """Where a program parts from a reference, or that no line can be told; its CPU seconds are added to the
        program's.

        Args:
            judged: the program, whose tests are decided.
            reference: the reference program.
            at: position of the test.
        """
        site = None
        if _has_one_answer(judged.tests[at]):
            with suppress(ZygoteLost):
                site = self._site(judged, reference, at)
        return Divergence(at + 1, None, None) if site is None else Divergence(at + 1, site.line, site.end_line)

    def _site(self, judged: TestProgress, reference: str, at: int) -> Site | None:
        right = self._reference(judged, reference, at)
        if right is None:
            return None
        wrong = self._traced(judged, judged.program, at, Outcome.WRONG_ANSWER)
        test = judged.tests[at]
        printed = test.stdout if isinstance(test, StdioTest) and test.tolerance is None else None
        return None if wrong is None else diverging_site(wrong, right, printed)

    def _reference(self, judged: TestProgress, reference: str, at: int) -> TracedProgram | None:
        key = (reference, judged.setup, judged.job_tests.number, at)
        if key not in self._references:
            self._references[key] = self._traced(judged, reference, at, Outcome.PASSED)
            while len(self._references) > _MAX_TRACES:
                self._references.popitem(last=False)
        self._references.move_to_end(key)
        return self._references[key]

    def _traced(self, judged: TestProgress, program: str, at: int, expected: Outcome) -> TracedProgram | None:
        """A program with its trace; None where its run ends otherwise than expected, unless the trace was full."""
        memory = self._memory = self._memory or TraceMemory()
        memory.clear()
        limits = judged.limits._replace(timeout=min(judged.limits.timeout, TRACED_SECONDS))
        progress = TestProgress(program, judged.setup, judged.job_tests, limits, trace=memory)
        try:
            self._run(progress, at)
        finally:
            judged.cpu_seconds += progress.cpu_seconds
        trace = memory.trace()
        return TracedProgram(program, trace) if trace.cut or progress.statuses[at] is expected else None


def _has_one_answer(test: JudgeTest) -> bool:
    """Whether a program is run for a test, and has to answer as the reference does."""
    return not (test.kind == "text" or (isinstance(test, StdioTest) and bool(test.checker)))
