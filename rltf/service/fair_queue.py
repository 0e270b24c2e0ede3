"""Jobs of several clients on their way to one executor: equal shares of the workers, bounded queues, withdrawal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from rltf.execution.executor import Executor
from rltf.types import Job, Verdict

_JOBS_A_WORKER = 2
"""Jobs that the executor has for each worker: one that runs, and one that follows without a round trip."""
_SECONDS_AROUND_TESTS = 0.002
"""Of a worker, for a job, beside those of its tests."""
_SECONDS_A_JOB = 0.1
"""What a job is taken to need before the first one has ended."""
_LONGEST_RETRY = 30.0
_WEIGHT_OF_LAST = 0.05
"""Of the last job in the mean of their seconds."""


class QueueFull(Exception):
    """A client has as many jobs waiting as it may have; `retry_seconds` says when there may be room."""

    def __init__(self, retry_seconds: float) -> None:
        super().__init__("too many programs are waiting")
        self.retry_seconds = retry_seconds


class NotJudged(Exception):
    """A job without a verdict, through no fault of its program; the text says why. It may be sent again."""

    def __init__(self, reason: str, took_too_long: bool = False) -> None:
        super().__init__(reason)
        self.took_too_long = took_too_long


@dataclass(eq=False)
class _Entry:
    job: Job
    client: _Client
    verdict: asyncio.Future[Verdict]
    started: float = 0.0
    """When the executor was given it; 0: it waits."""
    judged: Future[Verdict] | None = None
    deadline: asyncio.TimerHandle | None = None
    """Set once it is being judged."""


@dataclass(eq=False)
class _Client:
    name: str
    waiting: dict[int, _Entry] = field(default_factory=dict)
    """By `id`, the oldest first."""
    running: int = 0
    seconds: float = 0.0
    """Worker seconds that it has had, on a clock that starts at that of the busy client that had least."""


class FairQueue:
    """Hands jobs to an executor, always one of the client that has fewest running; of several such clients that which
    has had least time. So clients that wait have equal shares of the workers, however long their programs take and
    however many they send. Belongs to one event loop.

    Args:
        executor: judges.
        workers: programs that it judges at the same time. It is given twice as many, so that none of them waits for us.
        max_waiting: jobs of one client that may wait.
        job_seconds: a job that has been judged for so long is withdrawn. The executor begins jobs in the order in which
            it is given them, so the oldest that it has are those that are being judged.
        observe: called with each verdict and the seconds since its job was submitted.
    """

    def __init__(
        self,
        executor: Executor,
        workers: int,
        max_waiting: int,
        job_seconds: float,
        observe: Callable[[Verdict, float], None] = lambda verdict, seconds: None,
    ) -> None:
        self._executor = executor
        self._workers, self._max_waiting, self._job_seconds = workers, max_waiting, job_seconds
        self._observe = observe
        self._loop = asyncio.get_running_loop()
        self._clients: dict[str, _Client] = {}
        self._mean_seconds = _SECONDS_A_JOB
        self._given: dict[int, _Entry] = {}
        """Jobs that the executor has, by `id` of the entry, the oldest first."""
        self._room = asyncio.Event()
        """Set whenever a job leaves the queue."""

    @property
    def running(self) -> int:
        """Jobs that the executor has."""
        return len(self._given)

    @property
    def waiting(self) -> int:
        """Jobs that the executor has not been given."""
        return sum(len(client.waiting) for client in self._clients.values())

    def submit(self, client_name: str, job: Job) -> asyncio.Future[Verdict]:
        """The verdict, awaited. Cancelling it withdraws the job.

        Args:
            client_name: whose share of the workers it takes.
            job: to be judged.

        Raises:
            QueueFull: the client has as many waiting as it may have. The verdict itself may raise `NotJudged`, and
                `ValueError` for a job that the executor does not take.
        """
        client = self._clients.get(client_name)
        if client is None:
            least = min((peer.seconds for peer in self._clients.values()), default=0.0)
            client = self._clients[client_name] = _Client(client_name, seconds=least)
        if len(client.waiting) >= self._max_waiting:
            raise QueueFull(self.retry_seconds)
        entry = _Entry(job, client, self._loop.create_future())
        client.waiting[id(entry)] = entry
        submitted = time.monotonic()
        entry.verdict.add_done_callback(partial(self._on_verdict, entry, submitted))
        self._dispatch()
        return entry.verdict

    @property
    def retry_seconds(self) -> float:
        """When a client whose queue is full should try again: half of what now waits has been judged by then."""
        return min(_LONGEST_RETRY, max(1.0, 0.5 * self.waiting * self._mean_seconds / self._workers))

    async def wait_for_room(self) -> None:
        """Returns when some job has left the queue."""
        self._room.clear()
        await self._room.wait()

    def fail_all(self, reason: str) -> None:
        """Ends every job without a verdict: it waits no longer, or is withdrawn from the executor."""
        for entry in [entry for client in self._clients.values() for entry in client.waiting.values()]:
            if not entry.verdict.done():
                entry.verdict.set_exception(NotJudged(reason))
        for entry in list(self._given.values()):
            if not entry.verdict.done():
                entry.verdict.set_exception(NotJudged(reason))

    def _dispatch(self) -> None:
        while len(self._given) < _JOBS_A_WORKER * self._workers:
            ready = [client for client in self._clients.values() if client.waiting]
            if not ready:
                break
            client = min(ready, key=lambda client: (client.running, client.seconds))
            entry = client.waiting.pop(next(iter(client.waiting)))
            if not entry.verdict.done():
                self._start(entry)
        for entry in islice(self._given.values(), self._workers):
            if entry.deadline is None:
                entry.deadline = self._loop.call_later(self._job_seconds, self._expire, entry)
        self._room.set()

    def _start(self, entry: _Entry) -> None:
        try:
            entry.judged = self._executor.submit(entry.job)
        except ValueError as e:  # a limit that makes no sense here, or a test that cannot be sent
            entry.verdict.set_exception(e)
            return
        except RuntimeError as e:  # the executor has failed
            entry.verdict.set_exception(NotJudged(str(e)))
            return
        entry.started = time.monotonic()
        entry.client.running += 1
        self._given[id(entry)] = entry
        entry.judged.add_done_callback(partial(self._from_executor, entry))

    def _from_executor(self, entry: _Entry, judged: Future[Verdict]) -> None:
        """Called in the executor's thread, or in ours."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._on_judged, entry, judged)

    def _on_judged(self, entry: _Entry, judged: Future[Verdict]) -> None:
        seconds = time.monotonic() - entry.started
        self._mean_seconds += _WEIGHT_OF_LAST * (seconds - self._mean_seconds)
        del self._given[id(entry)]
        entry.client.running -= 1
        entry.client.seconds += _seconds_of(judged, seconds)
        if entry.deadline is not None:
            entry.deadline.cancel()
        if not entry.verdict.done():
            if judged.cancelled():
                entry.verdict.set_exception(NotJudged("the judge was stopped"))
            elif (error := judged.exception()) is not None:
                entry.verdict.set_exception(NotJudged(str(error)))
            else:
                entry.verdict.set_result(judged.result())
        self._forget_idle(entry.client)
        self._dispatch()

    def _on_verdict(self, entry: _Entry, submitted: float, verdict: asyncio.Future[Verdict]) -> None:
        """Its caller went away, it failed, or it was judged."""
        if verdict.cancelled() or verdict.exception() is not None:
            if entry.judged is not None:
                entry.judged.cancel()
            else:
                entry.client.waiting.pop(id(entry), None)
                self._forget_idle(entry.client)
                self._room.set()
        else:
            self._observe(verdict.result(), time.monotonic() - submitted)

    def _expire(self, entry: _Entry) -> None:
        if not entry.verdict.done():
            reason = f"it was not judged within {self._job_seconds:g} s"
            entry.verdict.set_exception(NotJudged(reason, took_too_long=True))

    def _forget_idle(self, client: _Client) -> None:
        if not client.waiting and not client.running:
            self._clients.pop(client.name, None)


def _seconds_of(judged: Future[Verdict], elapsed: float) -> float:
    """What a job cost a worker: the seconds of its tests, without those in which it waited for one, or for a worker to
    start; of a job without a verdict the seconds that it took, since it was ended while it ran."""
    if judged.cancelled() or judged.exception() is not None:
        return elapsed
    seconds = _SECONDS_AROUND_TESTS + sum(test.seconds for test in judged.result().tests)
    return min(elapsed, seconds)  # less where an equal program had been judged
