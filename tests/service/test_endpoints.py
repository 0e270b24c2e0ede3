"""What the service answers: our formats, and those of SandboxFusion and open-instruct."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from served import JSON, ROOT, Served

from rltf import Judge, RemoteJudge
from rltf.types import CallTest

GOOD = {
    "program": "def f(x):\n    return x + 1\nif __name__ == '__main__':\n    print(f(int(input())))",
    "tests": [
        {"kind": "call", "function": "f", "args": [1], "expected": 2},
        {"kind": "assert", "code": "assert f(1) == 2"},
        {"kind": "check", "code": "def check(candidate):\n    assert candidate(4) == 5", "entry_point": "f"},
        {"kind": "stdio", "stdin": "1\n", "stdout": "2\n"},
    ],
}
PROGRAMS = [
    *(GOOD["program"], "def f(x): return 2", "def f(x): return (", "def f(x): return x / 0", "while True: pass"),
    *("import os\nos.fork()\nos.execv('/bin/sh', ['sh'])", "x = ' ' * (1 << 30)\ndef f(x): return 2", ""),
]


def without_seconds(row: dict[str, Any]) -> dict[str, Any]:
    """The part of an answer that two runs of a program share; where it was when its time was up is luck."""
    tests = [{k: v for k, v in test.items() if k != "seconds"} for test in row.get("tests", ())]
    for entry in (row, *tests):
        if entry.get("error") and entry["error"]["type"] == "Timeout":
            entry["error"] |= {"line": None, "end_line": None}
    return {k: v for k, v in row.items() if k != "seconds"} | {"tests": tests}


def test_lines_have_the_verdicts_of_the_pipe(service: Served) -> None:
    rows: list[Any] = [{"id": i, **GOOD, "program": program} for i, program in enumerate(PROGRAMS)]
    rows += ["{", {"id": "x", "program": "", "tests": []}, {"id": 10**5000, **GOOD}]
    rows.append({"id": [1], **GOOD, "coverage": True, "output": True, "timeout": 3})
    with_long_integers = "import sys; sys.set_int_max_str_digits(0)"
    exec(with_long_integers)
    try:
        text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
        piped = subprocess.run(
            [sys.executable, "-m", "rltf.execution", "--workers", "2", "--timeout", "1"],
            input=text,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        )
        expected = [json.loads(line) for line in piped.stdout.splitlines()]
        answers = service.lines(rows)
    finally:
        sys.set_int_max_str_digits(4300)
    assert list(map(without_seconds, answers)) == list(map(without_seconds, expected))
    assert [row["outcome"] for row in answers[:5]] == [
        *("passed", "wrong_answer", "syntax_error", "runtime_error", "timeout"),
    ]


def test_one_job_has_one_answer(service: Served) -> None:
    response = service.post("/judge", json={"id": "a", **GOOD})
    assert response.headers["content-type"] == "application/json"
    assert (response.json()["id"], response.json()["outcome"], response.json()["passed"]) == ("a", "passed", 4)


def test_a_remote_judge_has_the_verdicts_of_a_local_one(service: Served) -> None:
    tests = [*GOOD["tests"], CallTest("f", (1,), [2], or_in_list=True)]
    answers = [f"So:\n```python\n{program}\n```" for program in PROGRAMS]
    with Judge(workers=2, timeout=1.0) as local, RemoteJudge(service.url) as remote:
        mine, theirs = (judge.judge_answers(answers, [tests] * len(answers)) for judge in (local, remote))
        assert remote.report() == local.report()
    assert [(v.outcome, v.passed, [t.status for t in v.tests]) for v in mine] == [
        (v.outcome, v.passed, [t.status for t in v.tests]) for v in theirs
    ]


def test_what_cannot_be_sent_is_refused_before_it_is(service: Served) -> None:
    remote = RemoteJudge(service.url)
    with pytest.raises(ValueError, match="a test of f holds a value that JSON has no form for"):
        remote.judge("x = 1", [CallTest("f", ({1},), 2)])
    with pytest.raises(ValueError, match=r"programs\[0\]: `timeout` is 500: expected"):
        remote.judge("x = 1", ["assert x == 1"], timeout=500)
    with pytest.raises(ValueError, match="url is 'localhost:80': expected the address of a service"):
        RemoteJudge("localhost:80")


@pytest.mark.parametrize(
    ("code", "stdin", "status", "run"),
    [
        ("print(int(input()) + 1)", "1\n", "Success", {"status": "Finished", "return_code": 0, "stdout": "2\n"}),
        ("import sys\nsys.exit(3)", None, "Failed", {"status": "Finished", "return_code": 3, "stdout": ""}),
        ("while True: pass", None, "Failed", {"status": "TimeLimitExceeded", "return_code": None}),
        ("print(1", None, "Failed", {"status": "Finished", "return_code": 1, "stdout": ""}),
        ("import socket\nsocket.socket()", None, "Failed", {"status": "Finished"}),
    ],
)
def test_run_code_speaks_as_sandboxfusion(
    service: Served, code: str, stdin: str | None, status: str, run: dict[str, Any]
) -> None:
    """The request is that of verl's client (`verl/utils/reward_score/sandbox_fusion/utils.py`)."""
    request = {
        "compile_timeout": 1,
        "run_timeout": 1,
        "code": code,
        "stdin": stdin,
        "memory_limit_MB": 512,
        "language": "python",
        "files": {},
        "fetch_files": [],
    }
    answer = service.post("/run_code", json=request).json()
    assert answer["status"] == status
    assert set(answer) == {"status", "message", "compile_result", "run_result", "executor_pod_name", "files"}
    assert run.items() <= answer["run_result"].items()
    assert answer["run_result"]["execution_time"] < 5


def test_an_error_of_a_program_that_is_run_ends_its_stderr(service: Served) -> None:
    code = "import sys\nprint('log', file=sys.stderr)\n1 / 0"
    run = service.post("/run_code", json={"code": code, "language": "python"}).json()["run_result"]
    assert run["stderr"].splitlines() == [
        *("log", "Traceback (most recent call last):", '  File "main.py", line 3'),
        "ZeroDivisionError: division by zero",
    ]


def test_a_program_that_is_run_twice_runs_twice(service: Served) -> None:
    request = {"code": "import time\nprint(time.time_ns())", "language": "python"}
    printed = {service.post("/run_code", json=request).json()["run_result"]["stdout"] for _ in range(3)}
    assert len(printed) == 3


def test_programs_are_tested_as_by_open_instruct(service: Served) -> None:
    """The requests are those of the docstring of `open_instruct/code_utils/api.py`."""
    tests = ["assert add(1, 2) == 3", "assert add(-1, 1) == 0", "assert add(0, 0) == 1"]
    request = {"program": "def add(a, b): return a + b", "tests": tests, "max_execution_time": 1.0}
    answer = service.post("/test_program", json=request).json()
    assert answer["results"] == [1, 1, 0]
    assert [seconds > 0 for seconds in answer["runtimes"]] == [True, True, False]
    assert service.post("/test_program", json={**request, "tests": json.dumps(tests)}).json()["results"] == [1, 1, 0]
    assert service.post("/test_program", json={**request, "tests": []}).json() == {"results": [], "runtimes": []}
    nothing = {**request, "tests": ["add(1, 2) == 3", tests[0]]}  # theirs would pass the first, whatever it returns
    assert service.post("/test_program", json=nothing).json()["results"] == [0, 1]
    program = "import sys\nfor line in sys.stdin.read().splitlines():\n    print(int(line.strip()) + 1)"
    pairs = [{"input": "1\n", "output": "2\n"}, {"input": "100\n", "output": "102\n"}]
    request = {"program": program, "tests": pairs, "max_execution_time": 1.0}
    assert service.post("/test_program_stdio", json=request).json()["results"] == [1, 0]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "says"),
    [
        ("/judge", "{", JSON, 422, "not JSON"),
        ("/judge", "[1]", JSON, 422, "expected a JSON object, found a list"),
        ("/judge", {"id": 1, **GOOD, "programm": ""}, JSON, 422, "unknown key `programm`: did you mean program?"),
        ("/judge", {"id": 1, **GOOD, "program": 5}, JSON, 422, "`program` is a number: expected a string"),
        (
            "/judge",
            {"id": 1, **GOOD, "timeout": 500},
            JSON,
            422,
            "500: expected null or a number of at most 120",
        ),
        ("/judge", {"id": 1, **GOOD, "timeout": -1}, JSON, 422, "`timeout` is -1"),
        ("/judge", {"id": 1, **GOOD}, {"content-type": "text/plain"}, 415, "expected the content type"),
        ("/judge", '{"id": ' + "[" * 100_000, JSON, 422, "nested too deep"),
        ("/run_code", {"code": "", "language": "go"}, JSON, 422, "`language` is 'go': expected python or cpp"),
        ("/run_code", {"code": "", "language": "python", "files": {"a": ""}}, JSON, 422, "`files` is not empty"),
        ("/run_code", {"code": "", "language": "python", "run_timeout": 0}, JSON, 422, "run_timeout: Input should be"),
        ("/run_code", {"code": "", "language": "python", "run_timeout": 1e9}, JSON, 422, "`timeout` is"),
        ("/run_code", {"code": "", "language": "python", "memory_limit_MB": -5}, JSON, 422, "memory_mb is -5"),
        ("/run_code", {"code": 1, "languag": "python"}, JSON, 422, "languag: Extra inputs are not permitted"),
        ("/run_code", "[" * 100_000, JSON, 400, ""),
        ("/test_program", {"program": "", "tests": {"a": 1}}, JSON, 422, "`tests` is no list"),
        ("/test_program", {"program": "", "tests": [1]}, JSON, 422, "`assert` statements, which are strings"),
        ("/test_program", {"program": "", "tests": "eJx"}, JSON, 422, "pickled tests are not read"),
        ("/test_program_stdio", {"program": "", "tests": [{"input": "1"}]}, JSON, 422, "`input` and `output`"),
        ("/nothing", {}, JSON, 404, "Not Found"),
    ],
)
def test_bad_input_has_a_clear_answer(
    service: Served, path: str, body: Any, headers: dict[str, str], status: int, says: str
) -> None:
    response = service.post(path, content=body if isinstance(body, str) else json.dumps(body), headers=headers)
    assert response.status_code == status, response.text
    assert says in response.json()["detail"]
    assert "\n" not in response.json()["detail"]
    assert service.post("/judge", json={"id": 1, **GOOD}).json()["outcome"] == "passed"  # nothing is lost


def test_the_state_of_the_sandbox_and_numbers_for_prometheus(service: Served) -> None:
    service.post("/judge", json={"id": 1, "program": "def f(x): return (", "tests": GOOD["tests"]})
    health = service.health()
    assert (health["status"], health["workers"], health["waiting"], health["running"]) == ("healthy", 2, 0, 0)
    assert {"files", "network", "pids", "seccomp", "landlock"} <= set(health["isolation"])
    with service.client() as client:
        text = client.get("/metrics").text
        paths = client.get("/openapi.json").json()["paths"]
    assert 'rltf_requests_total{path="/judge",status="200"}' in text
    assert 'rltf_verdicts_total{outcome="syntax_error"}' in text
    assert {"/judge", "/run_code", "/test_program", "/test_program_stdio", "/health", "/metrics"} == set(paths)
