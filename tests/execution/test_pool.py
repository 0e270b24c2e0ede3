"""The pool: nothing is lost, nothing is left, nothing of the trainer is in it."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from processes import alive, eventually, processes

from rltf.execution import LocalExecutor
from rltf.execution.sandbox.process_tree import descendants
from rltf.setup.instantiate import build
from rltf.types import AssertTest, CallTest, Job, Outcome, StdioTest
from rltf.validation import OptionError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def small() -> Iterator[LocalExecutor]:
    with LocalExecutor(workers=2, timeout=2.0) as executor:
        executor.report()
        yield executor


def addition(number: int) -> Job:
    return Job(f"def f(x):\n    return x + {number}", (CallTest("f", (1,), 1 + number), CallTest("f", (0,), 0)))


def test_map_keeps_the_order_and_takes_jobs_as_needed(small: LocalExecutor) -> None:
    taken = []

    def jobs() -> Iterator[Job]:
        for i in range(400):
            taken.append(i)
            yield addition(i)

    verdicts = small.map(jobs())
    first = next(verdicts)
    assert len(taken) < 400
    assert (first.passed, first.total) == (2, 2)  # adding 0 passes both tests
    assert [v.passed for v in verdicts] == [1] * 399


def test_equal_jobs_run_once(small: LocalExecutor) -> None:
    program = "import os\ndef f(x):\n    return int.from_bytes(os.urandom(6), 'big')"
    tests = (CallTest("f", (1,), 0),)
    futures = [small.submit(Job(program, tests)) for _ in range(20)]
    assert len({id(f.result()) for f in futures}) == 1
    assert small.submit(Job(program, (CallTest("f", (1,), 0),))).result() is futures[0].result()
    assert small.submit(Job(program, tests, timeout=1.5)).result() is not futures[0].result()


def test_threads_may_submit_at_once(small: LocalExecutor) -> None:
    results: list[int] = []

    def work(start: int) -> None:
        results.extend(small.submit(addition(i)).result().passed for i in range(start, start + 25))

    threads = [threading.Thread(target=work, args=(100 * t + 1,)) for t in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [1] * 100


@pytest.mark.parametrize("kind", ["zygote", "worker", "supervisor"])
def test_a_killed_process_loses_no_verdict(small: LocalExecutor, kind: str) -> None:
    sleepy = "import time\ndef f(x):\n    time.sleep(0.02)\n    return x + {}"
    jobs = [Job(sleepy.format(i), (CallTest("f", (1,), 1 + i),)) for i in range(60)]
    futures = [small.submit(job) for job in jobs]
    for _ in range(2):
        time.sleep(0.2)
        mine = [small._process.pid] if kind == "supervisor" else processes(kind, small._process.pid)
        for pid in mine[:1]:
            os.kill(pid, signal.SIGKILL)
    assert [f.result(240).outcome for f in futures] == [Outcome.PASSED] * 60


def test_close_ends_every_process_and_cancels_what_waits() -> None:
    others = set(descendants(os.getpid()))  # pools that other tests still hold
    executor = LocalExecutor(workers=2, timeout=3600)
    executor.report()
    futures = [executor.submit(Job(f"while True: pass\n# {i}", (CallTest("f", (), 1),))) for i in range(6)]
    while len(alive(pids := [p for p in descendants(os.getpid()) if p not in others])) < 7:
        time.sleep(0.05)  # supervisor, two workers, two zygotes, two programs
    executor.close()  # does not wait for their hour
    executor.close()
    assert all(f.cancelled() for f in futures)
    assert eventually(lambda: alive(pids) == []), alive(pids)  # the kernel takes a moment to end a namespace
    with pytest.raises(RuntimeError, match="closed"):
        executor.submit(addition(1))


TRAINER = """
import os, sys, time
sys.path.insert(0, {root!r})
from rltf.execution import LocalExecutor
from rltf.execution.sandbox.process_tree import descendants
from rltf.types import CallTest, Job
executor = LocalExecutor(workers=2, timeout=3600)
executor.report()
daemon = "import os, time\\nif os.fork() == 0:\\n    os.setsid()\\n    time.sleep(3600)\\nwhile True: pass"
for i in range(2):
    executor.submit(Job(daemon + f"  # {{i}}", (CallTest("f", (), 1),)))
while len(descendants(os.getpid())) < 9:  # supervisor; two workers, zygotes, programs and daemons of theirs
    time.sleep(0.05)
print(*descendants(os.getpid()), flush=True)
time.sleep(3600)
"""


def test_kill_9_of_the_trainer_leaves_nothing() -> None:
    code = TRAINER.format(root=str(ROOT))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as trainer:
        assert trainer.stdout is not None
        pids = [int(word) for word in trainer.stdout.readline().split()]
        assert len(pids) >= 9
        trainer.kill()
        trainer.wait()
        assert eventually(lambda: alive(pids) == []), alive(pids)


def test_descriptors_and_processes_do_not_pile_up(small: LocalExecutor) -> None:
    supervisor = small._process.pid

    def count() -> tuple[int, ...]:
        """Descriptors of this process, the supervisor, two workers, and each one's zygote, grader's zygote and grader;
        empty until there are all of them and nothing else."""
        pids = [os.getpid(), supervisor, *processes("worker", supervisor), *processes("zygote", supervisor)]
        if len(pids) < 10 or len(descendants(supervisor)) != 8:
            return ()
        return tuple(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)

    def settled() -> bool:
        counts = count()
        time.sleep(0.2)
        return counts == count() != ()

    programs = [
        "def f(x): return x",
        "def f(x): return",
        "def f(x)",
        "import os\nos.abort()",
        "import socket\nsocket.socket()",
    ]
    tests = (CallTest("f", (1,), 1), StdioTest("", ""), AssertTest("assert f(2) == 2"))
    rounds = itertools.count()

    def judge(number: int) -> None:
        """Each program in `number` versions that were not judged before."""
        list(small.map(Job(f"{p}\n# {i}", tests) for i in itertools.islice(rounds, number) for p in programs))

    judge(8)
    while not eventually(settled, seconds=2):
        judge(8)  # a worker may have had no program yet whose tests need a grader
    before = count()
    judge(40)
    assert eventually(lambda: count() == before), (count(), before)


def test_signals_that_the_trainer_ignores_still_end_a_program() -> None:
    """A shell starts background jobs with SIGQUIT ignored, and processes inherit that."""
    before = signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    try:
        with LocalExecutor(workers=1) as executor:
            program = "import os, signal\ndef f(x):\n    os.kill(os.getpid(), signal.SIGQUIT)\n    return x"
            (verdict,) = executor.map([Job(program, (CallTest("f", (1,), 1),))])
            assert verdict.outcome is Outcome.RUNTIME_ERROR
    finally:
        signal.signal(signal.SIGQUIT, before)


def test_a_slow_host_is_no_timeout() -> None:
    """A program that needs 0.3 s of its 0.6 s passes while three others fight for the same core; at twelve times its
    limit by the clock it may end, should the whole machine be as busy as that."""
    busy = "from time import process_time as t\ndef f(x):\n    s = t()\n    while t() - s < 0.3: pass\n    return {}"
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        with LocalExecutor(workers=4, timeout=0.6) as executor:
            jobs = [Job(busy.format(i), (CallTest("f", (0,), i),)) for i in range(8)]
            for verdict in executor.map(jobs):
                assert verdict.outcome is Outcome.PASSED or verdict.tests[0].seconds >= 12 * 0.6
    finally:
        os.sched_setaffinity(0, cores)


ENDED_EARLY = """
import os, signal, sys, time
sys.path[:0] = [{root!r}, {tests!r}]
from processes import processes
from rltf.execution import LocalExecutor
for delay in (0.02, 0.05, 0.08, 0.11, 0.14, 0.17, 0.2, 0.25):
    with LocalExecutor(workers=2) as executor:
        time.sleep(delay)
        for pid in processes("worker", executor._process.pid):
            os.kill(pid, signal.SIGTERM)
"""


def test_a_pool_that_ends_while_it_starts_says_nothing() -> None:
    code = ENDED_EARLY.format(root=str(ROOT), tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_the_trainers_memory_and_environment_are_not_in_the_pool() -> None:
    os.environ["RLTF_TEST_TOKEN"] = "tell-nobody"
    try:
        with LocalExecutor(workers=1) as executor:
            executor.report()
            executor.submit(addition(1)).result()
            for pid in descendants(os.getpid()):
                assert b"tell-nobody" not in Path(f"/proc/{pid}/environ").read_bytes()
                assert "torch" not in Path(f"/proc/{pid}/maps").read_text()
    finally:
        del os.environ["RLTF_TEST_TOKEN"]


def test_expected_values_are_not_in_the_zygote(small: LocalExecutor) -> None:
    secret = "zq-8153-never-guessed"
    tests = (CallTest("f", (1,), secret),)
    small.submit(Job("import time\ndef f(x):\n    time.sleep(3600)", tests, timeout=3600))
    zygotes = processes("zygote", small._process.pid)

    def programs() -> list[int]:
        return [pid for zygote in zygotes for pid in descendants(zygote)]

    assert eventually(lambda: programs() != [])
    for pid in zygotes + programs():
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, mode = line.split()[:2]
            if "rw" not in mode:
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            with open(f"/proc/{pid}/mem", "rb") as memory:
                memory.seek(start)
                assert secret.encode() not in memory.read(end - start)
    assert small.submit(Job("def f(x): return x", tests)).result().outcome == Outcome.WRONG_ANSWER


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"workers": 0}, "workers is 0: expected a whole number above 0"),
        ({"timeout": -1}, "timeout is -1"),
        ({"memory_mb": "much"}, "memory_mb is 'much'"),
        ({"require": ["moat"]}, "require is 'moat': expected some of limits, user"),
        ({"errors": {"timeout": []}}, r"errors\.timeout is \[\]: expected a list of rules"),
    ],
)
def test_arguments_that_make_no_sense_are_named(arguments: dict, text: str) -> None:
    with pytest.raises(OptionError, match=f"^{text}"):
        LocalExecutor(**arguments)
    config = OmegaConf.create(
        {"executor": {"_target_": "rltf.execution.LocalExecutor", **arguments}, "trusted": ["rltf"]}
    )
    with pytest.raises(ValueError, match=rf"^executor\.{text}"):
        build(config, "executor")


def test_a_required_layer_that_is_missing_refuses_to_start() -> None:
    with pytest.raises(
        ValueError, match=r"^require is \['pids'\]: expected layers that are active here; 'pids' is degraded"
    ):
        LocalExecutor(workers=1, require=["pids"], without=["namespaces"])


def test_a_job_without_tests_is_an_error_of_the_task(small: LocalExecutor) -> None:
    with pytest.raises(ValueError, match="tests is empty"):
        small.submit(Job("x = 1", ()))


def test_stop_at_first_failure_leaves_the_rest() -> None:
    with LocalExecutor(workers=1, stop_at_first_failure=True) as executor:
        job = Job("def f(x): return x", tuple(CallTest("f", (i,), i if i != 2 else -1) for i in range(5)))
        verdict = executor.submit(job).result()
    assert (verdict.passed, verdict.total, verdict.outcome) == (2, 5, Outcome.WRONG_ANSWER)


def test_import_leaves_torch_out() -> None:
    code = (
        "import sys; import rltf.execution, rltf.execution.local; print('torch' in sys.modules, 'yaml' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_cancelled_future_withdraws_its_program_and_leaves_the_others() -> None:
    endless = "import time\ndef f(x):\n    while True: time.sleep(0.01)\n# {}"
    with LocalExecutor(workers=1, timeout=3600) as executor:
        running = executor.submit(Job(endless.format(0), (CallTest("f", (1,), 1),)))
        executor.report()
        waiting = executor.submit(Job(endless.format(1), (CallTest("f", (1,), 1),)))
        other = executor.submit(addition(1))
        twice = [executor.submit(Job(endless.format(2), (CallTest("f", (1,), 1),))) for _ in range(2)]
        started = time.monotonic()
        for future in (running, waiting, twice[0]):
            assert future.cancel()
        assert other.result(240).passed == 1  # the only worker was ended within the endless one's hour, and replaced
        assert time.monotonic() - started < 60
        time.sleep(2.5)
        assert not twice[1].done()  # somebody waits for it: it goes on
        twice[1].cancel()
        assert executor.submit(addition(2)).result(240).passed == 1


def test_a_future_that_is_cancelled_again_and_again_loses_nothing(small: LocalExecutor) -> None:
    draw = random.Random(0)
    futures = [small.submit(addition(i)) for i in range(1000, 1300)]
    cancelled = {i for i in range(300) if draw.random() < 0.5 and futures[i].cancel()}
    assert all(future.result(240).passed == 1 for i, future in enumerate(futures) if i not in cancelled)
    assert [small.submit(addition(i)).result(240).passed for i in (1000, 1150, 1299)] == [1, 1, 1]
