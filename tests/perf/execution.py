"""What judging costs, beside a bare fork of the same programs, interleaved in one run; prints JSON.

    python tests/perf/execution.py [--rounds 5] [--programs 200] [--data ../shared/data]
        [--parts humaneval_checks null_program]

CPU time is that of every process that takes part (this one, supervisor, workers, zygotes, children); ratios are floor
over ours, so 1 would be free. Programs differ by a comment from round to round, since the pool runs equal ones once.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rltf.execution import LocalExecutor
from rltf.execution.sandbox.preload import PRELOAD
from rltf.execution.sandbox.process_tree import descendants
from rltf.types import CallTest, CheckTest, Job, Test

FLOOR = """
import importlib, json, os, sys, time, gc
for name in {preload!r}:
    importlib.import_module(name)
gc.collect(); gc.freeze()
for line in sys.stdin:
    programs = json.loads(line)
    start, children = time.process_time(), 0.0
    wall = time.perf_counter()
    for text in programs:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                exec(compile(text, "p", "exec"), {{"__name__": "program"}})
                status = 0
            finally:
                os._exit(status)
        _, status, usage = os.wait4(pid, 0)
        assert status == 0, text
        children += usage.ru_utime + usage.ru_stime
    own = time.process_time() - start
    print(json.dumps([own + children, time.perf_counter() - wall]), flush=True)
"""


class Floor:
    """Small processes that fork, compile, run and wait: two at a time, as our pool has two slots."""

    def __init__(self, processes: int = 2) -> None:
        code = FLOOR.format(preload=list(PRELOAD))
        command = [sys.executable, "-I", "-S", "-B", "-c", code]
        pipe = subprocess.PIPE
        self._processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe) for _ in range(processes)]

    def run(self, programs: list[str]) -> tuple[float, float]:
        """(CPU seconds, wall seconds) for all the programs."""
        start, cpu = time.perf_counter(), 0.0
        for at, process in enumerate(self._processes):
            assert process.stdin is not None
            process.stdin.write(json.dumps(programs[at :: len(self._processes)]).encode() + b"\n")
            process.stdin.flush()
        for process in self._processes:
            assert process.stdout is not None
            cpu += json.loads(process.stdout.readline())[0]
        return cpu, time.perf_counter() - start

    def close(self) -> None:
        """Ends them."""
        for process in self._processes:
            process.communicate()


class Ours:
    """The pool, with an account of its CPU time."""

    def __init__(self, **options: Any) -> None:
        self._seconds: dict[int, float] = {}
        self.pool = LocalExecutor(workers=2, **options)
        self.pool.report()
        warm = [Job(f"def f(x): return x + {i}", (CallTest("f", (1,), 1 + i),)) for i in range(20)]
        list(self.pool.map(warm))

    def run(self, jobs: list[Job], expect: str = "passed") -> tuple[float, float]:
        """(CPU seconds, wall seconds) for all the jobs, every process counted."""
        before, wall = self._cpu(), time.perf_counter()
        verdicts = list(self.pool.map(jobs))
        wall = time.perf_counter() - wall
        bad = [v for v in verdicts if v.outcome != expect]
        assert not bad, bad[0]
        return self._cpu() - before + sum(v.seconds for v in verdicts), wall

    def _cpu(self) -> float:
        """Of the processes that stay and of those they replaced; children come with their verdicts."""
        for pid in descendants(os.getpid()):
            with suppress(OSError):  # a process that ended meanwhile
                if b"rltf.execution" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    self._seconds[pid] = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
        return time.process_time() + sum(self._seconds.values())

    def zygotes(self) -> list[int]:
        """Process ids of the zygotes."""
        pids = descendants(os.getpid())
        return [p for p in pids if b"execution.sandbox.zygote" in Path(f"/proc/{p}/cmdline").read_bytes()]


def human_eval(folder: Path, count: int) -> list[tuple[str, str, str]]:
    """(program, test, entry point), cycled up to `count`."""
    with gzip.open(folder / "humaneval.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    kept = [(r["prompt"] + r["canonical_solution"], r["test"], r["entry_point"]) for r in rows]
    return [kept[i % len(kept)] for i in range(count)]


def ratios(floor: Floor, ours: Ours, rounds: int, make: Any) -> dict[str, Any]:
    """Median ratio and CPU milliseconds a program over interleaved rounds, and the ratio of each."""
    rows = []
    for number in range(rounds):
        programs, jobs = make(number)
        floor_cpu, floor_wall = floor.run(programs)
        cpu, wall = ours.run(jobs)
        n = len(jobs)
        rows.append((floor_cpu / cpu, 1e3 * floor_cpu / n, 1e3 * cpu / n, n / floor_wall, n / wall))
    names = ("ratio", "floor_cpu_ms", "cpu_ms", "floor_per_s", "per_s")
    medians = {
        name: round(statistics.median(column), 3) for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }
    return {**medians, "ratios": [round(row[0], 3) for row in rows]}


def coverage(ours: Ours, rounds: int, make: Any) -> dict[str, float]:
    """CPU milliseconds a program without and with coverage, interleaved, and the median of the rounds' ratios."""
    rows = []
    for number in range(1000, 1000 + rounds):
        plain = make(number)[1]
        watched = [replace(job, coverage=True) for job in plain]
        first = number % 2 == 0
        cost = {with_it: ours.run(watched if with_it else plain)[0] for with_it in (first, not first)}
        rows.append((cost[True] / cost[False], *(1e3 * cost[c] / len(plain) for c in (False, True))))
    ratio, without, with_it = (round(statistics.median(column), 3) for column in zip(*rows, strict=True))
    return {"ratio": ratio, "cpu_ms": without, "with_coverage_cpu_ms": with_it}


def null_program(number: int, count: int) -> tuple[list[str], list[Job]]:
    programs = [f"def f():\n    pass\n# {number} {i}\n" for i in range(count)]
    return [p + "f()\n" for p in programs], [Job(p, (CallTest("f", (), None),)) for p in programs]


def spawned(programs: list[str]) -> float:
    """CPU seconds of `python -I -c` a program."""
    before = os.times()
    for program in programs:
        subprocess.run([sys.executable, "-I", "-c", program], check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


def one_more_call(ours: Ours, rounds: int, offset: int) -> float:
    """CPU milliseconds of a further call test on a loaded program whose answers are its inputs and an offset. With a
    small one an input is the answer to another call, so calls go one at a time."""
    rows = []
    for number in range(rounds):
        cost = []
        for calls in (1, 101):
            tests: tuple[Test, ...] = tuple(CallTest("f", (i,), i + offset) for i in range(calls))
            jobs = [Job(f"def f(x):\n    return x + {offset}\n# {number} {calls} {i}", tests) for i in range(40)]
            ours.run(jobs[:2])
            cost.append(ours.run(jobs[2:])[0] / 38)
        rows.append(1e3 * (cost[1] - cost[0]) / 100)
    return round(statistics.median(rows), 4)


def after_the_limit(ours: Ours) -> float:
    """Milliseconds from the limit to the verdict, one loop at a time."""
    rows = []
    for i in range(5):
        job = Job(f"def f():\n    while True: pass\n# {i}", (CallTest("f", (), 1),), timeout=0.5)
        start = time.perf_counter()
        assert ours.pool.submit(job).result().outcome == "timeout"
        rows.append(1e3 * (time.perf_counter() - start - 0.5))
    return round(statistics.median(rows), 2)


def ten_loops(ours: Ours) -> float:
    jobs = [Job(f"while True: pass\n# {i}", (CallTest("f", (), 1),), timeout=3.0) for i in range(10)]
    start = time.perf_counter()
    assert all(v.outcome == "timeout" for v in ours.pool.map(jobs))
    return round(time.perf_counter() - start, 3)


def zygote_size(ours: Ours) -> dict[str, float]:
    rss = []
    for pid in ours.zygotes():
        rows = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        rss.append(int(rows["VmRSS"].split()[0]) / 1024)
    return {"rss_mb": round(max(rss), 2), "zygotes": len(rss)}


def zygote_start() -> float:
    from rltf.execution.sandbox.sandbox import Sandbox, become_subreaper
    from rltf.execution.sandbox.settings import SandboxSettings

    become_subreaper()
    rows = []
    for _ in range(5):
        sandbox = Sandbox(SandboxSettings(source=str(Path(__file__).resolve().parents[2])))
        start = time.perf_counter()
        sandbox.start()
        rows.append(1e3 * (time.perf_counter() - start))
        sandbox.close()
    return round(statistics.median(rows), 1)


def trainer_cost(heap_mb: int) -> dict[str, float]:
    """CPU in this process for a job (submit and verdict), and all CPU of a job, with a heap of some size."""
    heap = bytearray(heap_mb << 20)
    heap[::4096] = b"x" * len(heap[::4096])
    ours = Ours()
    rows = []
    for number in range(3):
        _, jobs = null_program(1000 * heap_mb + number, 200)
        own = time.process_time()
        cpu, _ = ours.run(jobs)
        rows.append((1e3 * (time.process_time() - own) / 200, 1e3 * cpu / 200))
    ours.pool.close()
    own_ms, all_ms = (round(statistics.median(column), 3) for column in zip(*rows, strict=True))
    return {"heap_mb": len(heap) >> 20, "trainer_cpu_ms": own_ms, "cpu_ms": all_ms}


def over_time(ours: Ours, total: int) -> list[float]:
    """CPU milliseconds a program, a thousand programs after another."""
    rows = []
    for block in range(total // 1000):
        parts = [null_program(10**6 + 10 * block + part, 100)[1] for part in range(10)]
        rows.append(round(sum(ours.run(jobs)[0] for jobs in parts), 3))
    return rows


def main() -> None:
    """Prints the figures as one JSON object."""
    parser = argparse.ArgumentParser(description="Cost of judging against a bare fork.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--programs", type=int, default=200)
    parser.add_argument("--parts", nargs="*", help="figures to measure, e.g. null_program (default: all)")
    parser.add_argument("--many", type=int, default=10000, help="programs run to show that cost does not grow")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RLTF_SHARED_DATA", "../shared/data")))
    arguments = parser.parse_args()
    floor, ours = Floor(), Ours()

    @cache
    def problems() -> list[tuple[str, str, str]]:
        return human_eval(arguments.data, arguments.programs)

    def checks(number: int) -> tuple[list[str], list[Job]]:
        rows = problems()
        texts = [f"{program}\n# {number} {i}\n" for i, (program, _, _) in enumerate(rows)]
        whole = [f"{t}\n{test}\ncheck({name})\n" for t, (_, test, name) in zip(texts, rows, strict=True)]
        return whole, [Job(t, (CheckTest(test, n),)) for t, (_, test, n) in zip(texts, rows, strict=True)]

    parts: dict[str, Any] = {
        "humaneval_checks": lambda: ratios(floor, ours, arguments.rounds, checks),
        "null_program": lambda: ratios(floor, ours, arguments.rounds, lambda n: null_program(n, arguments.programs)),
        "coverage": lambda: coverage(ours, arguments.rounds, checks),
        "python_I_c_cpu_ms": lambda: round(1e3 * spawned(checks(99)[0][:30]) / 30, 2),
        "one_more_call_cpu_ms": lambda: one_more_call(ours, 3, offset=1000),
        "one_more_call_alone_cpu_ms": lambda: one_more_call(ours, 3, offset=1),
        "verdict_after_limit_ms": lambda: after_the_limit(ours),
        "ten_loops_of_3_s_on_two_slots_s": lambda: ten_loops(ours),
        "zygote": lambda: zygote_size(ours),
        "zygote_start_ms": zygote_start,
        "heap": lambda: [trainer_cost(1), trainer_cost(1500)],
        "cpu_ms_by_thousand": lambda: over_time(ours, arguments.many),
    }
    result: dict[str, Any] = {"load": os.getloadavg()[0], "cores": os.cpu_count(), "isolation": ours.pool.report()}
    for name in arguments.parts or parts:
        result[name] = parts[name]()
    floor.close()
    ours.pool.close()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
