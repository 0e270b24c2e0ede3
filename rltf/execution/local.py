"""The pool as the trainer sees it: jobs go to a supervisor process, verdicts come back as futures."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

from rltf.execution import messages
from rltf.execution.executor import in_order
from rltf.execution.judge.error_table import ErrorTable
from rltf.execution.option_ranges import check_options
from rltf.execution.pool.pending import PendingJob, PendingJobs, resolve
from rltf.execution.sandbox.control import BOOT, FLAGS
from rltf.types import Job, Verdict

_RESTARTS = 5
"""How often in a row a supervisor that ended without a verdict is started again."""


class LocalExecutor:
    """Judges programs on this machine, in a sandbox of its own.

    Args:
        workers: Programs judged at the same time; None: twice the cores of this process, since some sleep.
        timeout: Seconds a test; waiting for a core does not count.
        memory_mb: Memory of a program, beyond the interpreter's.
        output_kb: What a program may print a test, stdout and stderr together.
        tasks: Processes and threads of a program.
        scratch_mb: Files of a program.
        require: Isolation layers that must be active (`bounds.LAYERS`), else the pool refuses to start.
        errors: Error table (`configs/errors`); None: the one that ships with `rltf`.
        stop_at_first_failure: Leave the tests after the first failed one unrun; they count as failed.
        max_timeouts: After so many timeouts the rest of a program's tests is not run and counts as timeouts.
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
        without: Sequence[str] = (),
    ) -> None:
        numbers = {
            "workers": 1 if workers is None else workers,
            "timeout": timeout,
            "memory_mb": memory_mb,
            "output_kb": output_kb,
            "tasks": tasks,
            "scratch_mb": scratch_mb,
            "max_timeouts": max_timeouts,
        }
        check_options(numbers, require)
        table = ErrorTable(errors) if errors is not None else ErrorTable.paper()
        self.workers = int(workers) if workers is not None else 2 * len(os.sched_getaffinity(0))
        self._settings = {
            "workers": self.workers,
            "errors": table.rules,
            "slots": {
                "source": str(Path(__file__).resolve().parents[2]),
                "numpy": _numpy_folder(),
                "scratch_mb": int(scratch_mb),
                "tasks": int(tasks),
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
        self._pending = PendingJobs(float(timeout), int(memory_mb))
        self._closed = False
        self._cores: frozenset[int] | None = None
        self._owner = os.getpid()
        self._start()
        if self._require:
            self._check_layers()

    # ------------------------------------------------------------------------------------------------ jobs in

    def submit(self, job: Job) -> Future[Verdict]:
        """Starts judging; returns at once.

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
                message += messages.pack(messages.TESTS, entry.new_tests, len(job.tests), entry.test_set)
            if entry.new_job is not None:
                message += _packed(entry.new_job)
            if message:
                self._send(message)
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
                move(self._process.pid, self._cores)

    # ------------------------------------------------------------------------------------------------ verdicts out

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        boot = BOOT.format("rltf.execution.pool.supervisor")
        source = self._settings["slots"]["source"]  # type: ignore[index]
        command = [sys.executable, *FLAGS, "-c", boot, source, str(theirs.fileno()), json.dumps(self._settings)]
        self._process = subprocess.Popen(
            command,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        if self._cores is not None:
            move(self._process.pid, self._cores)
        self._socket = ours
        self._reader = threading.Thread(target=self._read, args=(ours,), name="rltf-verdicts", daemon=True)
        self._reader.start()

    def _send(self, message: bytes) -> None:
        with contextlib.suppress(OSError):  # a lost supervisor: the reader starts another and sends everything again
            self._socket.sendall(message)

    def _read(self, connection: socket.socket) -> None:
        """The thread of verdicts: whatever ends it, nobody is left waiting."""
        try:
            self._receive(connection)
            self._recover()
        except BaseException as e:
            self._fail(f"the executor ended: {type(e).__name__} in its thread of verdicts ({e})")

    def _receive(self, connection: socket.socket) -> None:
        unpacker = messages.Unpacker()
        while True:
            try:
                data = connection.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                break
            for kind, body, number, _ in unpacker.feed(data):
                if kind == messages.READY:
                    self._report = json.loads(body)
                    self._up.set()
                else:
                    self._resolve(number, body)

    def _resolve(self, number: int, body: bytes) -> None:
        answer: Verdict | messages.UnreadableVerdict
        try:
            answer = messages.verdict_from_json(body, self._report)
        except messages.UnreadableVerdict as e:  # nobody else's loss
            answer = e
        with self._lock:
            self._restarts = 0
            futures, dropped_set = self._pending.complete(number, answer)
            if dropped_set is not None:
                self._send(messages.pack(messages.FORGET, tests=dropped_set))
        resolve(futures, answer)

    def _recover(self) -> None:
        """The supervisor is gone: unless we closed it, another takes its place and every open job starts again."""
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
                self._send(_packed(job))

    def _fail(self, why: str) -> None:
        """Ends the processes and tells everybody who waits."""
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
                found = report.get(layer, "absent")
                self.close()
                raise ValueError(f"executor.require asks for the layer {layer!r}, found it {found}: expected it active")

    # ------------------------------------------------------------------------------------------------ the end

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


def move(pid: int, cores: Collection[int]) -> None:
    """Binds a process, its threads and its descendants to cores; those that end meanwhile are left."""
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(task), cores)
                for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                    move(int(child), cores)


def _packed(pending: PendingJob) -> bytes:
    return messages.pack(messages.JOB, messages.job_to_json(pending.job), pending.number, pending.test_set)


def _numpy_folder() -> str | None:
    spec = importlib.util.find_spec("numpy")
    return str(Path(spec.origin).parents[1]) if spec is not None and spec.origin else None
