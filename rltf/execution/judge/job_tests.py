"""The tests of jobs as a worker has them, with what it needs to know of them for every program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rltf.execution.messages import JudgeTest
from rltf.types import AssertTest, CheckTest


@dataclass(frozen=True, eq=False)
class JobTests:
    """The tests of one or more jobs."""

    number: int
    """The same number means the same tests."""
    tests: Sequence[JudgeTest]
    requesting: list[int] = field(init=False)
    """Positions of the tests that ask the program."""
    has_text: bool = field(init=False)
    """Some test is text, which runs in a grader and asks for what it needs."""
    has_numpy: bool = field(init=False)
    """A test names numpy."""
    bare: bool = field(init=False)
    """All tests are calls or scripts: no test's own text says whether it can be judged."""

    def __post_init__(self) -> None:
        texts = [test.code for test in self.tests if isinstance(test, AssertTest | CheckTest)]
        requesting = [at for at, test in enumerate(self.tests) if test.kind not in ("stdio", "text")]
        object.__setattr__(self, "requesting", requesting)
        object.__setattr__(self, "has_text", bool(texts))
        object.__setattr__(self, "has_numpy", any("numpy" in text or "np." in text for text in texts))
        object.__setattr__(self, "bare", {test.kind for test in self.tests} <= {"call", "stdio"})
