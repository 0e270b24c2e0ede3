"""`python -m rltf.execution`: the formats that other tools rely on."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rltf.execution import __main__ as command

ROOT = Path(__file__).resolve().parents[2]


def judge(lines: list[Any], *arguments: str) -> list[dict[str, Any]]:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    done = subprocess.run(
        [sys.executable, "-m", "rltf.execution", "--workers", "2", *arguments],
        input=text,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=800,
        check=True,
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


GOOD = {
    "id": "a",
    "program": "def f(x):\n    return x + 1\nif __name__ == '__main__':\n    print(f(int(input())))",
    "tests": [
        {"kind": "call", "function": "f", "args": [1], "expected": 2},
        {"kind": "assert", "code": "assert f(1) == 2"},
        {"kind": "check", "code": "def check(candidate):\n    assert candidate(4) == 5", "entry_point": "f"},
        {"kind": "stdio", "stdin": "1\n", "stdout": "2\n"},
    ],
}


def test_lines_that_no_test_executed_are_told_when_asked_for() -> None:
    branch = {"program": "def f(x):\n    if x:\n        return 2\n    return 0\n", "tests": GOOD["tests"][:1]}
    asked = [{"id": i, "coverage": word, **branch} for i, word in enumerate((True, False, "yes"))]
    rows = judge([*asked, {"id": 3, "coverage": True, "program": "def f(:", "tests": GOOD["tests"][:1]}])
    assert [row.get("unexecuted") for row in rows] == [[4], None, None, None]
    assert rows[2]["message"] == "line 3: `coverage` is a string: expected true or false"


def test_where_a_wrong_answer_parts_from_a_reference_is_told_when_there_is_one() -> None:
    program = "def f(x):\n    y = x\n    return y\n"
    job = {"program": program, "tests": GOOD["tests"][:1]}
    right = program.replace("return y", "return y + 1")
    rows = judge([{"id": i, **job, "reference": reference} for i, reference in enumerate((right, program, None))])
    assert [row.get("divergence") for row in rows] == [
        {"test": 1, "line": 3, "end_line": 3},
        {"test": 1, "line": None, "end_line": None},
        None,
    ]
    assert {row["outcome"] for row in rows} == {"wrong_answer"}


def test_every_kind_of_test_and_the_order_of_the_output() -> None:
    slow = {"id": 7, "program": "while True: pass", "timeout": 0.5, "tests": GOOD["tests"][:1]}
    wrong = {"id": None, "program": "def f(x):\n    return\n", "tests": GOOD["tests"]}
    rows = judge([slow, GOOD, wrong])
    assert [row["id"] for row in rows] == [7, "a", None]
    assert set(rows[1]) == {"id", "outcome", "passed", "total", "error", "tests", "seconds", "isolation"}
    assert (rows[1]["outcome"], rows[1]["passed"], rows[1]["total"], rows[1]["error"]) == ("passed", 4, 4, None)
    assert [set(t) for t in rows[1]["tests"]] == [{"status", "seconds", "error"}] * 4
    assert rows[1]["isolation"]["judging"] == "rpc"
    assert rows[0]["outcome"] == "timeout"
    assert set(rows[0]["error"]) == {"type", "message", "line", "end_line", "category"}
    assert (rows[2]["outcome"], rows[2]["passed"]) == ("wrong_answer", 0)


def test_the_worst_test_gives_the_outcome() -> None:
    program = "def f(x):\n    if x == 0:\n        return 1 / x\n    return 5"
    calls = [{"kind": "call", "function": "f", "args": [x], "expected": 5} for x in (1, 0)]
    calls.append({"kind": "call", "function": "f", "args": [2], "expected": 6})
    (row,) = judge([{"id": 1, "program": program, "tests": calls}])
    assert [t["status"] for t in row["tests"]] == ["passed", "runtime_error", "wrong_answer"]
    assert row["outcome"] == "runtime_error"
    assert (row["error"]["type"], row["error"]["line"], row["error"]["category"]) == ("ZeroDivisionError", 3, "line")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nonsense", "not JSON"),
        ("[1]", "expected a JSON object"),
        ({"program": "", "tests": GOOD["tests"]}, "`id` is missing"),
        ({"id": 1, "tests": GOOD["tests"]}, "`program` is missing"),
        ({"id": 1, "program": 5, "tests": GOOD["tests"]}, "`program` is a number"),
        ({"id": 1, "program": "", "tests": []}, "`tests` is an empty list"),
        ({"id": 1, "program": "", "tests": [{"kind": "guess"}]}, "tests[0] is 'guess'"),
        ({"id": 1, "program": "", "tests": [{"kind": "call", "function": "f", "args": 3}]}, "tests[0].args"),
        ({"id": 1, "program": "", "tests": [{"kind": "assert", "code": "assert ("}]}, "tests[0].code does not compile"),
        ({"id": 1, "program": "", "tests": GOOD["tests"], "timeout": 0}, "`timeout` is 0"),
        ({"id": 1, "program": "", "tests": GOOD["tests"], "memory_mb": "x"}, "`memory_mb` is 'x'"),
    ],
)
def test_a_malformed_line_is_answered_and_the_rest_goes_on(line: Any, says: str) -> None:
    from rltf.execution.json_tests import InvalidInput
    from rltf.execution.jsonl import parse

    text = line if isinstance(line, str) else json.dumps(line)
    with pytest.raises(InvalidInput) as caught:
        parse(text.encode())
    assert says in str(caught.value)


def test_malformed_lines_among_good_ones() -> None:
    rows = judge(["{", GOOD, "", '{"id": 9}'])
    assert [r["outcome"] for r in rows] == ["invalid_input", "passed", "invalid_input"]
    assert rows[0]["id"] is None
    assert rows[2]["id"] == 9
    assert rows[2]["message"].startswith("line 4: ")


def test_help_shows_the_formats_and_bad_arguments_end_in_two() -> None:
    command = [sys.executable, "-m", "rltf.execution"]
    shown = subprocess.run([*command, "--help"], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert "entry_point" in shown
    assert "invalid_input" in shown
    bad = subprocess.run([*command, "--workers", "0"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert bad.returncode == 2
    assert bad.stderr == "--workers is 0: expected a whole number above 0 and at most 4096\n"


class FailedExecutor:
    """An executor that cannot go on."""

    def __init__(self, **options: object) -> None: ...

    def __enter__(self) -> FailedExecutor:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def submit(self, job: object) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(RuntimeError("the executor ended: its supervisor was lost"))
        return future


def test_an_executor_that_fails_ends_the_command_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "LocalExecutor", FailedExecutor)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=[json.dumps(GOOD).encode()]))
    assert command.main([]) == 1
    assert capsys.readouterr() == ("", "the executor ended: its supervisor was lost\n")
