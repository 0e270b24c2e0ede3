"""The executor of one machine: jobs go to a supervisor process, verdicts come back as futures."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Self

from rltf.execution import messages
from rltf.execution.cores import bind_to_cores
from rltf.execution.executor import check_options, in_order
from rltf.execution.judge.error_table import ErrorTable
from rltf.execution.languages import installed_runtimes
from rltf.execution.pool.pending import PendingJobs, resolve
from rltf.execution.sandbox.control import BOOT, FLAGS
from rltf.execution.sandbox.host_limits import require_host_limits
from rltf.types import Job, Verdict
from rltf.validation import OptionError

_RESTARTS = 5
"""How often in a row a supervisor that ended without a verdict is started again."""


class LocalExecutor:
    """Judges programs on this machine, in a sandbox of its own.

    Args:
        workers: Programs judged at the same time; None: twice the cores of this process, since some sleep.
        timeout: Seconds a test; waiting for a core does not count.
        memory_mb: Memory of a program, beyond the interpreter's.
        output_kb: What a program may print a test, unless twice the expected text is longer; 16 times as much of
            what nobody compares (stderr, and the output of a program whose functions are called).
        tasks: Processes and threads of a program.
        scratch_mb: Files of a program.
        require: Isolation layers without which the pool refuses to start (`rltf.execution.isolation.LAYERS`).
        errors: Where the blame of an error lies: outcome -> rules, in the place of those that the paper's table has for
            this outcome (`rltf/execution/judge/errors.yaml`); None: the paper's table as it is.
        stop_at_first_failure: Leave the tests after the first failed one unrun; they count as failed.
        max_timeouts: After so many timeouts the rest of a program's tests is not run and counts as timeouts.
        hash_seed: Seed of the hashes of texts in programs (PYTHONHASHSEED): the order of a set of texts hangs on it,
            and is the same in all programs of a pool.
        without: Layers to leave out (`namespaces`, `landlock`, `seccomp`, `cgroup`), to see how programs fare on
            lesser hosts.

    Raises:
        ValueError: An argument makes no sense, or a required layer is not there.

    >>> from rltf.types import CallTest
    >>> with LocalExecutor(workers=1) as executor:
    ...     executor.submit(Job("def f(x): return x + 1", (CallTest("f", (1,), 2),))).result().outcome
    <Outcome.PASSED: 'passed'>
    """

    def __init__(
        self,
        workers: int | None = None,
        timeout: float = 4.0,
        memory_mb: int = 512,
        output_kb: int = 1024,
        tasks: int = 24,
        scratch_mb: int = 16,
        require: Sequence[str] = (),
        errors: Mapping[str, Any] | None = None,
        stop_at_first_failure: bool = False,
        max_timeouts: int = 3,
        hash_seed: int = 0,
        without: Sequence[str] = (),
    ) -> None:
        numbers: dict[str, Any] = {
            "timeout": timeout,
            "memory_mb": memory_mb,
            "output_kb": output_kb,
            "max_timeouts": max_timeouts,
        }
        numbers |= {"tasks": tasks, "scratch_mb": scratch_mb, "hash_seed": hash_seed}
        check_options(numbers | {"workers": workers, "require": require})
        self.workers = int(workers) if workers is not None else 2 * len(os.sched_getaffinity(0))
        require_host_limits(timeout, memory_mb, self.workers)
        self._settings: dict[str, Any] = {
            "workers": self.workers,
            "errors": ErrorTable.paper(errors).rules,
            "sandbox": {
                "source": str(Path(__file__).resolve().parents[2]),
                "runtimes": installed_runtimes(),
                "scratch_mb": int(scratch_mb),
                "tasks": int(tasks),
                "hash_seed": int(hash_seed),
                "without": list(without),
            },
            "judge": {
                "output_bytes": int(output_kb) << 10,
                "stop_at_first_failure": bool(stop_at_first_failure),
                "max_timeouts": int(max_timeouts),
            },
        }
        self._require = tuple(require)
        self._lock = threading.RLock()
        self._up = threading.Event()
        self._report: dict[str, str] = {}
        self._failure = ""
        """Why no job can be judged any more."""
        self._restarts = 0
        self._pending = PendingJobs(float(timeout), int(memory_mb), require_host_limits)
        self._closed = False
        self._cores: frozenset[int] | None = None
        self._owner = os.getpid()
        self._start()
        if self._require:
            self._check_layers()

    def submit(self, job: Job) -> Future[Verdict]:
        """Starts judging; returns at once. A future that is cancelled withdraws its job: it is not begun, or is ended
        when it has run on for a second.

        Raises:
            ValueError: The job has no tests, a test holds a value that is no plain value, or a limit makes no sense.
            RuntimeError: The pool is closed, or has failed.
        """
        with self._lock:
            if self._closed or self._failure:
                raise RuntimeError(self._failure or "the executor is closed")
            entry = self._pending.add(job)
            message = b""
            if entry.new_tests:
                message += messages.tests_message(entry.test_set, entry.new_tests, len(job.tests))
            if entry.new_job is not None:
                message += entry.new_job.packed()
            if message:
                self._send(message)
        if entry.number:
            entry.future.withdraw = partial(self._withdraw, entry.number)
        return entry.future

    def map(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        """Verdicts in the order of `jobs`, as they come; takes jobs as they are needed."""
        return in_order(self.submit, jobs, lambda: 4 * self.workers + 64)

    def report(self) -> dict[str, str]:
        """Isolation layer -> `active`, `degraded: why` or `absent: why`.

        Raises:
            RuntimeError: The sandbox does not start on this machine.
        """
        if not self._up.wait(60) or not self._report:
            raise RuntimeError(self._failure or "the sandbox did not start: no answer in 60 s")
        return dict(self._report)

    def use_cores(self, cores: Collection[int]) -> None:
        """Moves the processes of the pool to these cores; those that they start follow them."""
        self._cores = frozenset(cores)
        with self._lock:
            if not self._closed and not self._failure:
                bind_to_cores(self._process.pid, self._cores)

    def _start(self) -> None:
        connection, supervisor_connection = socket.socketpair()
        for end in (connection, supervisor_connection):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        boot = BOOT.format("rltf.execution.pool.supervisor")
        source = self._settings["sandbox"]["source"]
        arguments = [source, str(supervisor_connection.fileno()), json.dumps(self._settings)]
        self._process = subprocess.Popen(
            [sys.executable, *FLAGS, "-c", boot, *arguments],
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
            pass_fds=[supervisor_connection.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        supervisor_connection.close()
        if self._cores is not None:
            bind_to_cores(self._process.pid, self._cores)
        self._socket = connection
        self._reader = threading.Thread(target=self._read, args=(connection,), name="rltf-verdicts", daemon=True)
        self._reader.start()

    def _withdraw(self, number: int) -> None:
        """Takes a job back whose future was cancelled."""
        with self._lock:
            if self._closed or self._failure:
                return
            withdrawn, dropped_set = self._pending.withdraw(number)
            if withdrawn:
                self._send(messages.Message(messages.WITHDRAW, job=number).packed())
            if dropped_set is not None:
                self._send(messages.Message(messages.FORGET, test_set=dropped_set).packed())

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # a lost supervisor: the reader starts another and sends everything again
            self._socket.sendall(message)

    def _read(self, connection: socket.socket) -> None:
        """The thread that receives verdicts; when it ends by a fault, all open jobs fail."""
        try:
            self._receive(connection)
            self._recover()
        except BaseException as e:
            self._fail(f"the executor ended: {type(e).__name__} in its thread of verdicts ({e})")

    def _receive(self, connection: socket.socket) -> None:
        unpacker, wait = messages.Unpacker(), messages.wait_readable(connection)
        while True:
            try:
                wait()
                chunk = connection.recv(1 << 16)
            except OSError:
                chunk = b""
            if not chunk:
                break
            for message in unpacker.feed(chunk):
                if message.kind == messages.READY:
                    self._report = json.loads(message.body)
                    self._up.set()
                else:
                    self._resolve(message.job, message.body)

    def _resolve(self, number: int, body: bytes) -> None:
        answer: Verdict | messages.UnreadableVerdict
        try:
            answer = messages.verdict_from_json(body, self._report)
        except messages.UnreadableVerdict as e:  # the loss of this job alone
            answer = e
        with self._lock:
            self._restarts = 0
            futures, dropped_set = self._pending.complete(number, answer)
            if dropped_set is not None:
                self._send(messages.Message(messages.FORGET, test_set=dropped_set).packed())
        resolve(futures, answer)

    def _recover(self) -> None:
        """Replaces a supervisor that ended, unless we closed it; every open job starts again."""
        with self._lock:
            if self._closed:
                return
            status = self._process.wait()
            self._restarts += 1
            if status == 3:
                self._fail("the sandbox did not start: its workers cannot start")
                return
            if self._restarts > _RESTARTS:
                self._fail(f"the executor ended: its supervisor was lost {self._restarts} times without a verdict")
                return
            self._socket.close()
            self._start()
            self._send(self._pending.test_sets.packed())
            for job in self._pending.jobs():
                self._send(job.packed())

    def _fail(self, why: str) -> None:
        """Ends the processes, fails every open job and refuses further ones."""
        with self._lock:
            if self._closed:
                return
            self._failure = self._failure or why
            futures = self._pending.clear()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._up.set()
        resolve(futures, RuntimeError(why))

    def _check_layers(self) -> None:
        report = self.report()
        for layer in self._require:
            if report.get(layer) != "active":
                self.close()
                state = report.get(layer, "absent")
                raise OptionError("require", list(self._require), f"layers that are active here; {layer!r} is {state}")

    def close(self) -> None:
        """Kills what runs, reaps every process; pending futures are cancelled."""
        if os.getpid() != self._owner:
            return  # a fork of the trainer: the pool is not its own
        with self._lock:
            if self._closed:
                return
            self._closed = True
            futures = self._pending.clear()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(10)
        self._socket.close()
        for future in futures:
            future.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()
