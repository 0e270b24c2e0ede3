"""The tests of jobs as a worker has them, with what it needs to know of them for every program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rltf.execution.messages import JudgeTest
from rltf.types import AssertTest, CheckTest


@dataclass(frozen=True, eq=False)
class JobTests:
    """The tests of one or more jobs; what is asked of them is worked out once.

    >>> JobTests(1, (CheckTest("import numpy", "f"),)).requires_numpy
    True
    """

    number: int
    """The same number means the same tests."""
    tests: Sequence[JudgeTest]

    @cached_property
    def requesting(self) -> list[int]:
        """Positions of the tests that ask the program."""
        return [at for at, test in enumerate(self.tests) if test.kind not in ("stdio", "text")]

    @cached_property
    def has_text(self) -> bool:
        """True where some test is test text, which asks the program for what it needs."""
        return bool(self._texts)

    @cached_property
    def requires_numpy(self) -> bool:
        """True where test text names numpy."""
        return any("numpy" in text or "np." in text for text in self._texts)

    @cached_property
    def only_calls_and_scripts(self) -> bool:
        """True where no test can say by itself that it cannot be judged, and none is an answer in words."""
        return {test.kind for test in self.tests} <= {"call", "stdio"}

    @cached_property
    def _texts(self) -> list[str]:
        return [test.code for test in self.tests if isinstance(test, AssertTest | CheckTest)]
