"""The grader: takes a job from the worker, asks the program's process, decides every test.

A process like a program's, behind the same layers, forked from a zygote of its own. It stays for many jobs; text that
may leave traces in it (`purity`) runs in a fork. It keeps no clock: the worker watches, and ends the program's process
or the grader itself, as it may have to whatever test text does.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Sequence
from itertools import islice
from typing import Any, NoReturn

from rltf.execution.grader import page as results
from rltf.execution.grader.compare import same_value
from rltf.execution.grader.connection import ProgramConnection, WorkerConnection, end_copy
from rltf.execution.grader.page import Page
from rltf.execution.grader.requests import Requests, Unjudgeable
from rltf.execution.grader.stand_ins import RemoteProxy
from rltf.execution.grader.task_tests import TestSet
from rltf.execution.grader.text_test_code import Scope, needs_program
from rltf.execution.inside.coverage import CoverageMarks
from rltf.execution.isolation import syscalls
from rltf.execution.isolation.root import SCRATCH, SHARED
from rltf.execution.values.codec import decode

_WARM_UP_RUNS = 5
_DONE = {"end": "done"}
_MAX_REASON = 500
"""Characters of a reason."""


def main(fd: int) -> None:
    """Serves the worker at descriptor `fd`, which first sends the page, until it hangs up."""
    try:
        worker = WorkerConnection(socket.socket(fileno=fd))
        first = worker.receive()
        if first is not None:
            _serve(worker, Page(first[1][0]))
    finally:
        os._exit(0)


def _serve(worker: WorkerConnection, page: Page) -> None:
    test_sets: dict[int, TestSet] = {}
    here = os.getcwd()
    folders = (SCRATCH, SHARED) if here == SCRATCH else (here,)
    while (message := worker.receive()) is not None:
        job, descriptors = message
        worker.begin_job(job["number"])
        number = job["test_set"]
        if job["tests"] is not None:
            test_sets[number] = TestSet(job["tests"], job["setup"])
        for forgotten in job["forgotten"]:
            del test_sets[forgotten]
        test_set = test_sets[number]
        if test_set.setup != job["setup"]:  # the same tests of another task
            test_set = test_sets[number] = TestSet([*test_set.rows.values()], job["setup"])
        if job["tests"] is not None and test_set.right_answers is not None:
            worker.send({"exact": test_set.right_answers.message()})
        if test_set.pure:
            end = _grade(worker, page, job, test_set, descriptors)
            if end != _DONE or worker.has_sent or not page.end_silently():
                worker.send(end)
        elif (pid := os.fork()) == 0:
            _grade_in_fork(folders, worker, page, job, test_set, descriptors)
        else:
            os.waitpid(pid, 0)
            if not page.over:  # the test ended its process
                worker.send({"end": "lost"})
        for descriptor in descriptors:
            os.close(descriptor)


def _grade_in_fork(folders: Sequence[str], worker: WorkerConnection, page: Page, *job: Any) -> NoReturn:
    """Decides tests whose text may leave traces, files in `folders` among them; this process ends after that."""
    try:
        with contextlib.suppress(OSError):
            syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        worker.owner = os.getpid()
        end = _grade(worker, page, *job)
        worker.send({**end, "traces": _left_traces(folders)})
        page.end_job()
    finally:
        os._exit(0)


def _left_traces(folders: Sequence[str]) -> bool:
    """True when there are files or processes that the tests of another program could meet."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
        return True
    return any(map(os.listdir, folders))


def _grade(
    worker: WorkerConnection, page: Page, job: dict[str, Any], tests: TestSet, descriptors: list[int]
) -> dict[str, Any]:
    """Decides the tests at `job["indices"]`; returns the last message to the worker."""
    program = job["program"]
    late = tests.has_text and bool(tests.setup) and needs_program(tests.setup)
    if program is not None and late:  # setup runs after the program, as test text
        program = {**program, "setup": ""}
    connection = ProgramConnection(descriptors[0], page, program, worker.owner, job["answered"])
    marks = CoverageMarks(descriptors[1]) if len(descriptors) > 1 else None
    grading = _Grading(worker, page, connection, tests, marks)
    try:
        return grading.run(job)
    finally:
        grading.close()


class _Grading:
    """One process of a program and the tests that it is asked for."""

    def __init__(
        self,
        worker: WorkerConnection,
        page: Page,
        connection: ProgramConnection,
        tests: TestSet,
        marks: CoverageMarks | None,
    ) -> None:
        self._worker = worker
        self._page = page
        self._connection = connection
        self._tests = tests
        self._marks = marks
        self._scope: Scope | None = None
        self._answers = False
        """What calls return goes to the worker."""
        self._last = -1
        """The last test that is to be run."""
        self._requests = Requests(connection.send, connection.receive)

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """The last message to the worker: `end` is `done`, `not loaded`, `stopped` (the program's process), `broken`
        (nobody knows what its next answer would belong to), `unread` (it was sent more than the tests asked) or
        `diverged` (it was sent something else)."""
        page, marks, requests = self._page, self._marks, self._requests
        self._last, self._answers = job["indices"][-1], job["answers"]
        at_load: tuple[int, ...] = ()
        if job["program"] is None:
            if (sent := self._tests.sent_requests(job["indices"], job["sent"])) is None:
                return {"end": "diverged"}
            requests.take_sent(*sent)
        if marks is not None:
            self._ping()
            at_load = marks.executed_since_last()
        for position, at in enumerate(job["indices"]):
            end_copy(self._worker.owner)
            page.begin_test(at)
            requests.begin_test()
            if job["pipelined"] and not requests.planned:
                upcoming = islice(job["indices"], position, None)
                requests.pipeline(self._tests.groups_from(upcoming, self._last, job["stop_at_first_failure"]))
            result, error = self._decide(self._tests.rows[at])
            end_copy(self._worker.owner)
            if marks is not None:
                executed = sorted({*at_load, *marks.executed_since_last()})
                self._worker.send({"at": at, "executed": executed})
            if requests.diverged:
                return {"end": "diverged"}
            if requests.stopped:
                return self._end()
            if error is not None:
                self._worker.send({"at": at, "error": error})
            page.end_test(result)
            if requests.broken:
                return {"end": "broken"}
            if result not in (results.PASSED, results.UNJUDGEABLE) and job["stop_at_first_failure"]:
                break
        if requests.unread:
            return {"end": "unread"}
        if not self._connection.asked:  # no test did: it may not even compile
            self._ping()
            if requests.stopped:
                return self._end()
        return _DONE

    def close(self) -> None:
        """Lets go of everything. What test text has left, such as a generator with a `finally`, may yet ask for more:
        it finds a program that is gone, and not the next one at its descriptor."""
        self._requests.close()
        if self._scope is not None:
            self._scope.close()

    def _end(self) -> dict[str, Any]:
        error = self._connection.load_error
        return {"end": "stopped"} if error is None else {"end": "not loaded", "message": error}

    def _ping(self) -> None:
        """Waits until the program is loaded."""
        with contextlib.suppress(BaseException):
            self._requests.send(["ping"])

    def _decide(self, row: Sequence[Any]) -> tuple[int, dict[str, Any] | None]:
        """Result of a test, and the error that goes with it."""
        try:
            if row[1] == "call":
                return self._decide_call(*row)
            return self._decide_text(row)
        except BaseException as e:
            if (error := self._requests.program_error(e)) is not None:
                return results.PROGRAM_ERROR, error
            if row[1] != "call" and not self._requests.count:
                return results.UNJUDGEABLE, _reason(f"the test fails by itself: {type(e).__name__}: {e}")
            return results.WRONG_ANSWER, _reason(self._requests.unsendable)

    def _decide_call(
        self, at: int, kind: str, function: str, args: Any, encoded: Any, or_in_list: bool, tolerance: float | None
    ) -> tuple[int, Any]:
        answer = self._requests.send(self._tests.request_of_call(at, at == self._last))
        if "value" not in answer:
            return results.WRONG_ANSWER, _reason(answer.get("unsendable"))
        value, expected = decode(answer["value"]), self._tests.expected(at)
        if self._answers and len(text := json.dumps(answer["value"], separators=(",", ":"))) <= results.MAX_ANSWER:
            self._worker.send({"at": at, "answer": text})
        right = same_value(value, expected, tolerance) or (or_in_list and same_value(value, [expected], tolerance))
        return results.PASSED if right else results.WRONG_ANSWER, None

    def _decide_text(self, row: Sequence[Any]) -> tuple[int, Any]:
        problem = self._tests.problems[row[0]]
        if problem is not None:
            return results.UNJUDGEABLE, _reason(f"the test {problem}")
        requests = self._requests
        try:
            if self._scope is None:
                self._scope = Scope(requests, self._tests.setup, self._tests.asserts)
            self._run_text(self._scope, row)
        except Unjudgeable:
            pass
        except BaseException:
            if requests.unjudgeable is None:
                raise
        if requests.unjudgeable is not None:
            return results.UNJUDGEABLE, _reason(requests.unjudgeable)
        if not requests.count:
            return results.UNJUDGEABLE, _reason("the test asked the program nothing")
        if requests.swallowed:
            return results.UNJUDGEABLE, _reason("the program caught an assertion that failed in what the test lent it")
        return results.PASSED, None

    def _run_text(self, scope: Scope, row: Sequence[Any]) -> None:
        scope.run(row[2])
        if row[1] == "check":
            candidate = scope.values.get(row[3])
            if not isinstance(candidate, RemoteProxy):
                candidate = RemoteProxy(scope.link, row[3])
            scope.values["check"](candidate)


def _reason(text: Any) -> dict[str, Any] | None:
    return None if text is None else {"reason": str(text)[:_MAX_REASON]}


def warm_up() -> None:
    """Grades a small program, which is not there, so that the memory of this code has settled before the first fork."""
    tests = TestSet([[0, "assert", "assert f([1]) == [2]"], [1, "call", "f", [1], 2, False, None]], "")
    answers = ({"n": 1, "value": [2]}, {"n": 2, "value": 2})
    for _ in range(_WARM_UP_RUNS):
        worker, connection = socket.socketpair()
        program, channel = socket.socketpair()
        for answer in answers:
            body = json.dumps(answer).encode()
            program.sendall(len(body).to_bytes(4, "big") + body)
        job = {
            "program": {},
            "number": 0,
            "indices": [0, 1],
            "stop_at_first_failure": False,
            "answers": False,
            "pipelined": False,
            "sent": 0,
            "answered": b"",
        }
        work = WorkerConnection(connection)
        work.send(_grade(work, Page(), job, tests, [channel.fileno()]))
        for end in (worker, connection, program, channel):
            end.close()
