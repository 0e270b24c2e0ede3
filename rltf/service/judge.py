"""The judge from Python: `Judge(workers=4).judge(program, tests)`. Neither Hydra nor torch is imported."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Self

from rltf.benchmarks.answers import program_in_answer
from rltf.execution.json_tests import InvalidInput
from rltf.execution.local import LocalExecutor
from rltf.service.test_sets import Limits, TestSet, parse_problem
from rltf.service.text_answers import answer_in_text
from rltf.types import CallTest, CheckTest, Job, Test, TextTest, Verdict


class Judge:
    """Judges programs against tests on this machine, in a sandbox (docs/execution.md).

    Thread-safe. It keeps processes ready: make one and use it for all programs. A context manager that closes itself.

    Args:
        workers: programs judged at the same time; None: twice the cores.
        timeout: seconds a test.
        memory_mb: memory of a program.
        require: isolation layers without which not to start, e.g. `("files", "network", "pids", "seccomp")`.
        options: other options of `rltf.execution.LocalExecutor`.

    Raises:
        ValueError: an option makes no sense, or a required layer is not there.

    Example:
        >>> with Judge(workers=1) as judge:
        ...     verdict = judge.judge("def f(x): return x + 1", ["assert f(1) == 2", "assert f(2) == 4"])
        >>> verdict.outcome, verdict.passed, verdict.total
        (<Outcome.WRONG_ANSWER: 'wrong_answer'>, 1, 2)
    """

    def __init__(
        self,
        workers: int | None = None,
        timeout: float = 4.0,
        memory_mb: int = 512,
        require: Sequence[str] = (),
        **options: Any,
    ) -> None:
        self.executor = LocalExecutor(workers, timeout, memory_mb, require=require, **options)
        """Where programs are judged."""

    def judge(self, program: str, tests: TestSet, **limits: Any) -> Verdict:
        """The verdict on a program.

        Args:
            program: its text.
            tests: in any form that `rltf.service.test_sets.parse_test_set` reads.
            limits: fields of `Limits`: `setup`, `timeout`, `memory_mb`, `language`.

        Raises:
            ValueError: the tests cannot be read, or check nothing; or a limit makes no sense.
        """
        return self.submit(program, tests, **limits).result()

    def judge_many(self, programs: Iterable[str], tests: Iterable[TestSet], **limits: Any) -> list[Verdict]:
        """The verdicts on several programs, in their order; they are judged side by side.

        Args:
            programs: their texts.
            tests: the tests of each.
            limits: as in `judge`, the same for all.

        Raises:
            ValueError: as in `judge`, or there are not as many test sets as programs. Nothing is judged then.

        Example:
            >>> with Judge(workers=1) as judge:
            ...     verdicts = judge.judge_many(["x = 1", "x = "], [["assert x == 1"]] * 2)
            >>> [verdict.outcome.value for verdict in verdicts]
            ['passed', 'syntax_error']
        """
        return [future.result() for future in self._submit_many(programs, tests, limits)]

    def judge_answers(self, answers: Iterable[str], tests: Iterable[TestSet], **limits: Any) -> list[Verdict]:
        """The verdicts on the programs in several answers of a chat model: fences, prose and thinking are left out by
        the rule of `rltf.benchmarks.answers`, which prefers the block that defines the function asked for.

        Args:
            answers: whole texts, as the model wrote them.
            tests: the tests of each.
            limits: as in `judge`, the same for all.

        Raises:
            ValueError: as in `judge_many`.
        """
        jobs = jobs_of(answers, tests, Limits(**limits), answers=True)
        return [future.result() for future in map(self.executor.submit, jobs)]

    def submit(self, program: str, tests: TestSet, **limits: Any) -> Future[Verdict]:
        """Starts judging a program; returns at once. Cancelling the future withdraws the program.

        Raises:
            ValueError: as in `judge`.
        """
        [future] = self._submit_many([program], [tests], limits)
        return future

    async def judge_async(self, program: str, tests: TestSet, **limits: Any) -> Verdict:
        """The verdict on a program, awaited; a task that is cancelled withdraws it.

        Example:
            >>> async def main() -> Verdict:
            ...     with Judge(workers=1) as judge:
            ...         return await judge.judge_async("print(int(input()) + 1)", [{"input": "1", "output": "2"}])
            >>> asyncio.run(main()).outcome
            <Outcome.PASSED: 'passed'>
        """
        return await asyncio.wrap_future(self.submit(program, tests, **limits))

    async def judge_many_async(self, programs: Iterable[str], tests: Iterable[TestSet], **limits: Any) -> list[Verdict]:
        """The verdicts on several programs, awaited, in their order."""
        futures = self._submit_many(programs, tests, limits)
        return list(await asyncio.gather(*map(asyncio.wrap_future, futures)))

    def report(self) -> Mapping[str, str]:
        """Isolation layer -> `active`, `degraded: why` or `absent: why`, each tried by its effect."""
        return self.executor.report()

    def close(self) -> None:
        """Ends all processes; what is not judged yet is cancelled."""
        self.executor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _submit_many(
        self, programs: Iterable[str], tests: Iterable[TestSet], limits: Mapping[str, Any]
    ) -> list[Future[Verdict]]:
        return [self.executor.submit(job) for job in jobs_of(programs, tests, Limits(**limits))]


def jobs_of(texts: Iterable[str], tests: Iterable[TestSet], limits: Limits, answers: bool = False) -> list[Job]:
    """The jobs of several programs.

    Args:
        texts: of the programs, or answers that hold them.
        tests: the tests of each.
        limits: of all.
        answers: whether the texts are answers, whose programs are to be found.

    Raises:
        ValueError: tests cannot be read, or there are not as many test sets as texts.
    """
    jobs = []
    pairs = list(_pairs(texts, tests))
    parsed: dict[int, tuple[tuple[Test, ...], Limits]] = {}
    """By `id` of the object with the tests, which programs of one problem often share."""
    for number, (text, test_set) in enumerate(pairs):
        if not isinstance(text, str):
            raise InvalidInput(f"programs[{number}] is {text!r:.100}: expected a string")
        if id(test_set) not in parsed:
            try:
                parsed[id(test_set)] = parse_problem(test_set, limits)
            except InvalidInput as e:
                raise InvalidInput(f"programs[{number}]: {e}" if len(pairs) > 1 else str(e)) from None
        records, options = parsed[id(test_set)]
        program = _program_of(text, records) if answers else text
        jobs.append(Job(program, records, options.setup, options.timeout, options.memory_mb, language=options.language))
    return jobs


def _program_of(answer: str, tests: Sequence[Test]) -> str:
    """The program in an answer; where all tests are of text answers the answer in it."""
    if all(isinstance(test, TextTest) for test in tests):
        return answer_in_text(answer)
    return program_in_answer(answer, _function_of(tests)).text


def _pairs(texts: Iterable[str], tests: Iterable[TestSet]) -> Iterable[tuple[str, TestSet]]:
    texts, tests = list(texts), list(tests)
    if len(texts) != len(tests):
        raise InvalidInput(f"{len(texts)} programs with {len(tests)} test sets: expected the tests of each program")
    return zip(texts, tests, strict=True)


def _function_of(tests: Sequence[Test]) -> str | None:
    """The function that the tests name first; None for scripts and plain asserts."""
    names = (
        t.function if isinstance(t, CallTest) else t.entry_point for t in tests if isinstance(t, CallTest | CheckTest)
    )
    return next(names, None)
