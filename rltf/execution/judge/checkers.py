"""Tests with several right answers, decided by a checker; and answers in words or numbers."""

from __future__ import annotations

from rltf.execution.judge.compare import same_output
from rltf.execution.judge.job_tests import JobTests
from rltf.execution.judge.outcomes import Decision, ErrorRecord
from rltf.execution.judge.progress import TestProgress
from rltf.execution.messages import EncodedCall
from rltf.execution.sandbox.limits import Limits
from rltf.execution.values.codec import encode
from rltf.types import Outcome, StdioTest, TextTest

_CHECKER_TESTS = 0
"""Number of the test set of checkers, which is another each time; those of jobs begin at 1."""
_CHECKER_LIMITS = Limits(timeout=10.0, memory_bytes=1 << 30, output_bytes=1 << 20)
_CALL_CHECKER = """
def _rltf_verdict(stdin, expected, printed):
    try:
        right = check(stdin, expected, printed)
    except AssertionError:
        return False
    if right is not True and right is not False:
        raise TypeError(f"check returned {type(right).__name__}: expected True or False")
    return right
"""


def decide_text(progress: TestProgress, at: int) -> None:
    """Compares the program's text, which is an answer in words or numbers, with what a test expects."""
    test = progress.tests[at]
    assert isinstance(test, TextTest)
    progress.start_clock()
    right = same_output(progress.program.strip(), test.expected.strip(), test.tolerance)
    progress.mark(at, Outcome.PASSED if right else Outcome.WRONG_ANSWER)


def checker_progress(test: StdioTest, printed: str) -> TestProgress:
    """The checker of a test as a program with one test, which asks it for its verdict on what was printed."""
    texts = (test.stdin, test.stdout, printed.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
    call = EncodedCall("_rltf_verdict", [encode(text) for text in texts], encode(True))
    return TestProgress(f"{test.checker}\n{_CALL_CHECKER}", "", JobTests(_CHECKER_TESTS, (call,)), _CHECKER_LIMITS)


def checker_decision(checking: TestProgress) -> Decision:
    """What a checker's own verdict says of the test that it checks."""
    [status], [error] = checking.statuses, checking.errors
    if status in (Outcome.PASSED, Outcome.WRONG_ANSWER) and error is None:
        return status, None
    reason = "" if error is None else f": {error.type}: {error.message}"
    return Outcome.UNJUDGEABLE, ErrorRecord("Unjudgeable", f"the checker gave no verdict{reason}"[:500])
