"""`rltf serve` under load: latency, verdicts beside those of the pipe, and workers that are killed in the middle.

    python tests/perf/service.py [--programs 10000] [--connections 64] [--workers N] [--kills 20]

Each of the connections sends one program after another to `/judge`, all of them different; a program of every kind is
among them. Every `programs / kills` answers one worker is killed (SIGKILL). The same programs are then judged by
`python -m rltf.execution` and compared, but for seconds. Client and service share the cores of the machine; the client
is a few lines over plain sockets, since httpx took 4.6 CPU-ms a request where the service takes 1.9. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "service"))

from served import Served, served

ROOT = Path(__file__).resolve().parents[2]
TESTS = [
    {"kind": "call", "function": "f", "args": [3], "expected": 6},
    {"kind": "assert", "code": "assert f(0) == 0"},
    {"kind": "assert", "code": "assert [f(i) for i in range(20)] == [2 * i for i in range(20)]"},
]
PROGRAMS = (
    "def f(x):\n    return sum(x for _ in range(2))\n",
    "def f(x):\n    return x + x\n",
    "def f(x):\n    return x\n",
    "def f(x):\n    return [][x]\n",
    "def f(x:\n    return x\n",
    "import collections\ndef f(x):\n    return collections.Counter([x])[x] * 2 * x\n",
    "import socket\ndef f(x):\n    socket.socket(socket.AF_INET)\n",
    "def f(x):\n    raise SystemExit\n",
)
"""Right, right, wrong, an error, a syntax error, right, forbidden, an early exit."""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="400 programs, two kills")
    parser.add_argument("--programs", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2 * len(os.sched_getaffinity(0)))
    parser.add_argument("--kills", type=int, default=20)
    arguments = parser.parse_args()
    programs, kills = (400, 2) if arguments.quick else (arguments.programs, arguments.kills)
    jobs = [{"id": i, "program": f"{PROGRAMS[i % len(PROGRAMS)]}# {i}\n", "tests": TESTS} for i in range(programs)]
    with served("--workers", str(arguments.workers)) as service:
        result = asyncio.run(load(service, jobs, arguments.connections, kills))
        result["memory_mb"] = memory_mb(service.process.pid)
    answers = result.pop("answers")
    started = time.perf_counter()
    expected = piped(jobs, arguments.workers)
    result["pipe_programs_per_second"] = round(programs / (time.perf_counter() - started), 1)
    result["different_verdicts"] = sum(comparable(a) != comparable(b) for a, b in zip(answers, expected, strict=True))
    print(json.dumps(result, indent=2))


async def load(service: Served, jobs: list[dict[str, Any]], connections: int, kills: int) -> dict[str, Any]:
    """Answers and figures of all jobs, sent by so many connections."""
    answers: list[Any] = [None] * len(jobs)
    seconds: list[float] = []
    statuses: dict[int, int] = {}
    killed = given_twice = 0
    waiting = iter(jobs)

    async def connection() -> None:
        nonlocal killed, given_twice
        reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
        for job in waiting:
            started = time.perf_counter()
            status, row = await ask(reader, writer, job)
            seconds.append(time.perf_counter() - started)
            statuses[status] = statuses.get(status, 0) + 1
            given_twice += answers[row["id"]] is not None
            answers[row["id"]] = row
            if kills and len(seconds) % (len(jobs) // (kills + 1)) == 0 and (pids := service.workers()):
                os.kill(pids[killed % len(pids)], signal.SIGKILL)
                killed += 1
        writer.close()

    begun, cpu = time.perf_counter(), cpu_seconds(service.process.pid)
    await asyncio.gather(*(connection() for _ in range(connections)))
    elapsed = time.perf_counter() - begun
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {
        "programs": len(jobs),
        "connections": connections,
        "programs_per_second": round(len(jobs) / elapsed, 1),
        "milliseconds": {"p50": round(1e3 * cuts[49], 1), "p99": round(1e3 * cuts[98], 1)},
        "longest_milliseconds": round(1e3 * max(seconds), 1),
        "http_cpu_ms_a_program": round(1e3 * (cpu_seconds(service.process.pid) - cpu) / len(jobs), 2),
        "statuses": statuses,
        "killed_workers": killed,
        "lost": answers.count(None),
        "given_twice": given_twice,
        "answers": answers,
    }


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, job: dict[str, Any]) -> tuple[int, Any]:
    """Status and answer of one request."""
    body = json.dumps(job).encode()
    fields = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(f"POST /judge HTTP/1.1\r\n{fields}".encode() + body)
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].split("\r\n")[0])
    return int(head.split()[1]), json.loads(await reader.readexactly(length))


def cpu_seconds(pid: int) -> float:
    """CPU seconds of the process that answers, without those that judge."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> int:
    """Resident memory of the process that answers."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) >> 10


def piped(jobs: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Answers of `python -m rltf.execution`."""
    done = subprocess.run(
        [sys.executable, "-m", "rltf.execution", "--workers", str(count)],
        input="".join(json.dumps(job) + "\n" for job in jobs),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    """What two runs of a program share: all but seconds."""
    tests = [{key: value for key, value in test.items() if key != "seconds"} for test in row["tests"]]
    return {key: value for key, value in row.items() if key != "seconds"} | {"tests": tests}


if __name__ == "__main__":
    main()
