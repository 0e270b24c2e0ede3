"""A judge in this process that counts the runs which a grader decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rltf.execution import messages
from rltf.execution.judge.error_table import ErrorTable
from rltf.execution.judge.grading import Grader
from rltf.execution.judge.job_tests import JobTests
from rltf.execution.judge.judge import Judge, JudgeSettings
from rltf.execution.messages import JobJSON
from rltf.execution.sandbox.settings import SandboxSettings
from rltf.types import Verdict

ROOT = Path(__file__).resolve().parents[2]

JOB = JobJSON(
    program="", setup="", coverage=False, memory_mb=512, output=False, reference=None, language="python", answers=False
)


class CountingJudge:
    """A judge in this process that counts the runs which a grader decided."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        table = ErrorTable.paper(None)
        self._judge = Judge(SandboxSettings(source=str(ROOT)), table, JudgeSettings(1 << 20, False, 3))
        self._sets = 0
        self.graded = 0
        grade = Grader.grade

        def counted(grader: Grader, *args: Any) -> Any:
            self.graded += 1
            return grade(grader, *args)

        monkeypatch.setattr(Grader, "grade", counted)
        monkeypatch.setattr("rltf.execution.judge.exact_answers._WAIT_SECONDS", 5.0)  # on a busy machine, too

    def __call__(self, program: str, *tests: Any, timeout: float = 60.0) -> Verdict:
        self.graded = 0
        self._sets += 1
        rows = messages.tests_from_json(messages.tests_to_json(tests))
        job: Any = {**JOB, "program": program}
        return self._judge.judge(job, timeout, JobTests(self._sets, rows))

    def begin_tests(self, *tests: Any) -> None:
        """Takes the tests of the programs that `again` judges."""
        self._sets += 1
        self._tests = JobTests(self._sets, messages.tests_from_json(messages.tests_to_json(tests)))

    def again(self, program: str, timeout: float = 60.0, coverage: bool = False) -> Verdict:
        """The verdict on one of several programs with the same tests."""
        self.graded = 0
        job: Any = {**JOB, "program": program, "coverage": coverage}
        return self._judge.judge(job, timeout, self._tests)

    def end_graders(self) -> None:
        """Ends the graders; the next program that needs one gets another."""
        for _, grader in self._judge._graders.values():
            grader.close()

    def close(self) -> None:
        self._judge.close()
